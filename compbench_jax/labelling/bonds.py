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


def bonds_whole(graph: MolecularGraph, positions: np.ndarray) -> np.ndarray:
    """Say for each of many geometries (Å, ``[n, n_atoms, 3]``) whether no bond broke or formed, bool ``[n]``.

    The rule is that of :func:`changed_bond`.
    """
    from ase.data import covalent_radii

    first, second = np.triu_indices(graph.n_atoms, 1)
    bonded = np.zeros((graph.n_atoms, graph.n_atoms), bool)
    bonded[graph.bonds[:, 0], graph.bonds[:, 1]] = True
    bonded = bonded[first, second]
    radii = covalent_radii[graph.numbers]
    limit = radii[first] + radii[second]
    whole = np.empty(len(positions), bool)
    for start in range(0, len(positions), 64):  # 64 tridecanes take 3 MB of pairs: they stay in the cache
        block = np.asarray(positions[start : start + 64], np.float64)
        square = ((block[:, first] - block[:, second]) ** 2).sum(axis=-1)
        wrong = np.where(bonded, square > (BROKEN * limit) ** 2, square < (FORMED * limit) ** 2)
        whole[start : start + 64] = ~wrong.any(axis=1)
    return whole
