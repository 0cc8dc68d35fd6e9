"""Worker program that finds bonds, in a process of its own because RDKit's search for bond orders can hang.

``identify`` starts it with the path of this file and speaks JSON with it, one line a geometry in each
direction, so it imports nothing of the library. A request is ``{"numbers": [...], "positions": [[x, y, z],
...], "charge": 0}`` (Å); its answer ``{"bonds": [[i, j, order], ...], "charges": [...]}`` (Kekulé orders,
formal charges) or ``{"error": "what was wrong"}``.
"""

import json
import sys

READY = "ready"
"""The worker's first line, once RDKit is loaded."""


def perceive(numbers: list[int], positions: list[list[float]], charge: int) -> dict:
    """Return the answer to one request (see the module's docstring)."""
    import numpy as np
    from rdkit import Chem
    from rdkit.Chem import rdDetermineBonds

    mol = Chem.RWMol()
    for number in numbers:
        mol.AddAtom(Chem.Atom(number))
    geometry = Chem.Conformer(len(numbers))
    geometry.SetPositions(np.array(positions, np.float64))
    mol.AddConformer(geometry)
    # RDKit's default, connect-the-dots, bears thermal distortion best: on all 177 registry molecules it is
    # right up to a Gaussian displacement of 0.08 Å an atom, where its van der Waals method misses one in ten.
    rdDetermineBonds.DetermineConnectivity(mol)
    pieces = len(Chem.GetMolFrags(mol))
    if pieces > 1:
        return {"error": f"the atoms fall into {pieces} separate pieces"}
    try:
        rdDetermineBonds.DetermineBondOrders(mol, charge=charge)
        radicals = sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
        if radicals:
            return {"error": f"{radicals} electrons stay unpaired"}
        Chem.Kekulize(mol, clearAromaticFlags=True)
    except ValueError:  # includes RDKit's sanitisation errors
        return {"error": f"no bond orders give a closed-shell molecule of charge {charge}"}
    bonds = [[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondTypeAsDouble())] for bond in mol.GetBonds()]
    return {"bonds": bonds, "charges": [atom.GetFormalCharge() for atom in mol.GetAtoms()]}


def main() -> None:
    """Answer requests from standard input until it closes."""
    import rdkit.Chem.rdDetermineBonds  # noqa: F401  (loaded before the clock of the first geometry starts)

    print(READY, flush=True)
    for line in sys.stdin:
        print(json.dumps(perceive(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
