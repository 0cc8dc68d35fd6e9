"""Identifiers of atom environments: what an atom sees within r bonds.

Morgan's algorithm as in extended-connectivity fingerprints (Rogers and Hahn 2010, J. Chem. Inf. Model. 50,
742), RDKit's implementation, on the molecule with explicit hydrogens. At radius 0 an identifier hashes the
atom's element, number of neighbours, number of neighbouring hydrogens, formal charge, isotope and ring
membership, so CH3 and CH2 carbons differ already there. At each further radius it hashes the atom's own
identifier with the bond orders to its neighbours and their identifiers, all of one radius less. Chirality is
ignored.
"""

from typing import Any

import numpy as np

from compbench_jax.errors import DataError, optional_import
from compbench_jax.molecules.molecule import MAX_RADIUS


def atom_environments(mol: Any) -> np.ndarray:
    """Return the environment identifiers of each atom at radius 0 … 4.

    Args:
        mol: a sanitised RDKit molecule whose hydrogens are all explicit atoms.

    Returns:
        uint32 ``[n_atoms, 5]``, rows in the atom order of ``mol``. Identifiers do not depend on that order.

    Raises:
        DataError: the molecule still has implicit hydrogens, which would have no environment of their own.
    """
    generators = optional_import("rdkit.Chem.rdFingerprintGenerator", "generate", "atom environments")
    implicit = sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())
    if implicit:
        raise DataError(f"atom environments need explicit hydrogens, {implicit} are implicit: call AddHs first")
    # Redundant environments (those that no longer grow) are kept: every bonded atom has one at each radius.
    generator = generators.GetMorganGenerator(radius=MAX_RADIUS, includeRedundantEnvironments=True)
    output = generators.AdditionalOutput()
    output.AllocateBitInfoMap()
    generator.GetSparseCountFingerprint(mol, additionalOutput=output)
    environments = np.zeros((mol.GetNumAtoms(), MAX_RADIUS + 1), np.uint32)
    found = np.zeros(environments.shape, bool)
    for identifier, places in output.GetBitInfoMap().items():
        for atom, radius in places:
            environments[atom, radius] = identifier
            found[atom, radius] = True
    for radius in range(1, MAX_RADIUS + 1):  # RDKit does not iterate an atom without bonds: it sees only itself
        alone = ~found[:, radius]
        assert not any(mol.GetAtomWithIdx(int(atom)).GetDegree() for atom in np.flatnonzero(alone))
        environments[alone, radius] = environments[alone, radius - 1]
    return environments
