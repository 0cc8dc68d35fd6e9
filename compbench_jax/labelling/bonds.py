"""Whether a geometry still has the bonds of its molecule."""

import numpy as np

from compbench_jax.molecules.molecule import MolecularGraph

BROKEN = 1.5
FORMED = 1.15
"""Thresholds in units of the sum of covalent radii. At 300 K bonds reach 1.3 of it; hydrogen bonds stay above 1.4."""


def changed_bond(graph: MolecularGraph, positions: np.ndarray) -> str | None:
    """Say which bond broke or formed in ``positions`` (Å, ``[n_atoms, 3]``), or return None if none did."""
    from ase.data import chemical_symbols, covalent_radii

    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    radii = covalent_radii[graph.numbers]
    relative = distance / (radii[:, None] + radii[None])
    bonded = np.zeros(distance.shape, bool)
    bonded[graph.bonds[:, 0], graph.bonds[:, 1]] = True
    upper = np.triu(np.ones_like(bonded), 1)
    for verb, wrong in (("broke", bonded & (relative > BROKEN)), ("formed", ~bonded & (relative < FORMED))):
        pairs = np.argwhere(wrong & (upper | bonded))
        if len(pairs):
            i, j = (int(k) for k in pairs[0])
            names = "-".join(chemical_symbols[graph.numbers[k]] + str(k) for k in (i, j))
            return f"bond {names} {verb} at {distance[i, j]:.2f} Å"
    return None
