"""How far apart the geometries of two trajectories are: bond lengths, angles and torsions.

The distance of two distributions is the 1-Wasserstein distance, in the unit of the coordinate: how far, on average, the
one's probability must be moved to become the other. On a circle (torsions) it may be moved either way round.
"""

import numpy as np

from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.torsions import backbone_torsions, torsion_angles, torsion_histogram

TORSION_BINS = 72


def coordinates(graph: MolecularGraph, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Bond lengths (Å), bond angles and backbone torsions (degrees) along a trajectory, each ``[n_frames, n]``.

    Args:
        graph: the molecule.
        positions: Å, ``[n_frames, n_atoms, 3]``.
    """
    positions = np.asarray(positions, np.float64)
    i, j = graph.bonds[:, 0], graph.bonds[:, 1]
    angles = bond_angles(graph)
    first, second = (positions[:, angles[:, k]] - positions[:, angles[:, 1]] for k in (0, 2))
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine = (first * second).sum(axis=-1) / np.maximum(lengths, 1e-12)
    return {
        "bond": np.linalg.norm(positions[:, i] - positions[:, j], axis=-1),
        "angle": np.degrees(np.arccos(cosine.clip(-1.0, 1.0))),
        "torsion": torsion_angles(positions, backbone_torsions(graph)),
    }


def bond_angles(graph: MolecularGraph) -> np.ndarray:
    """Atoms i, centre, k of every angle between two bonds, int64 ``[n_angles, 3]``."""
    neighbours: list[list[int]] = [[] for _ in range(graph.n_atoms)]
    for i, j in graph.bonds.tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    found = [
        (around[a], centre, around[b])
        for centre, around in enumerate(neighbours)
        for a in range(len(around))
        for b in range(a + 1, len(around))
    ]
    return np.array(found, np.int64).reshape(-1, 3)


def distances(graph: MolecularGraph, first: np.ndarray, second: np.ndarray) -> dict[str, float | None]:
    """Mean distance of the distributions of each kind of coordinate in two trajectories.

    Args:
        graph: the molecule.
        first: Å, ``[n_frames, n_atoms, 3]``.
        second: likewise; the number of frames may differ.

    Returns:
        ``bond`` (Å), ``angle`` and ``torsion`` (degrees), each the mean over the coordinates of this kind; None where
        the molecule has none.
    """
    a, b = coordinates(graph, first), coordinates(graph, second)
    found: dict[str, float | None] = {}
    for kind in a:
        measure = circular_wasserstein if kind == "torsion" else wasserstein
        values = measure(a[kind], b[kind])
        found[kind] = float(values.mean()) if values.size else None
    return found


def wasserstein(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1-Wasserstein distance of the columns of two samples ``[n, k]`` and ``[m, k]``, ``[k]``.

    The integral of |F⁻¹ − G⁻¹| by the midpoint rule on as many quantiles as the larger sample has: exact for n = m.
    """
    count = max(len(first), len(second))
    at = (np.arange(count) + 0.5) / count
    quantiles = [np.sort(item, axis=0)[(at * len(item)).astype(int)] for item in (first, second)]
    return np.abs(quantiles[0] - quantiles[1]).mean(axis=0)


def circular_wasserstein(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1-Wasserstein distance on the circle of the columns of two samples of angles in degrees, ``[k]``.

    The integral of |F − G − median(F − G)| (Rabin, Delon, Gousseau, J. Math. Imaging Vis. 41, 147, 2011), from
    histograms of 5 degrees.
    """
    cumulative = [torsion_histogram(item, TORSION_BINS).cumsum(axis=1) / max(1, len(item)) for item in (first, second)]
    difference = cumulative[0] - cumulative[1]
    if not difference.size:
        return np.zeros(0)
    difference -= np.median(difference, axis=1, keepdims=True)
    return np.abs(difference).sum(axis=1) * (360.0 / TORSION_BINS)
