"""Torsions of the heavy-atom backbone: which they are, their angles, and how these are distributed.

Angles are in degrees in [−180, 180), of the sign of IUPAC: looking from the second atom to the third, positive where
the far bond is turned clockwise from the near one. Trans (anti) is beyond ±120°, gauche between; the barriers of a
saturated chain lie at 0° and ±120°.
"""

import numpy as np

from compbench_jax.molecules.molecule import MolecularGraph

TRANS = 120.0
"""Degrees; |φ| above it is trans."""


def backbone_torsions(graph: MolecularGraph) -> np.ndarray:
    """One torsion for every bond of heavy atoms that can turn, int32 ``[n_torsions, 4]``, along ascending bonds.

    A bond can turn if it is in no ring and both of its atoms have another heavy neighbour. Of several neighbours the
    torsion takes the one whose branch has the most heavy atoms, then the most atoms, then the lowest index: it follows
    the chain, and in a carboxyl group the hydroxyl oxygen.
    """
    neighbours: list[list[int]] = [[] for _ in range(graph.n_atoms)]
    for i, j in graph.bonds.tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    heavy = graph.numbers > 1

    def branch(start: int, without: int) -> set[int]:
        seen, waiting = {without, start}, [start]
        while waiting:
            for k in neighbours[waiting.pop()]:
                if k not in seen:
                    seen.add(k)
                    waiting.append(k)
        return seen - {without}

    def end(atom: int, other: int) -> int | None:
        choices = [k for k in neighbours[atom] if k != other and heavy[k]]
        branches = {k: branch(k, atom) for k in choices}
        return max(choices, key=lambda k: (int(heavy[list(branches[k])].sum()), len(branches[k]), -k), default=None)

    torsions = []
    for b, c in graph.bonds.tolist():
        if not (heavy[b] and heavy[c]):
            continue
        a, d = end(b, c), end(c, b)
        if a is None or d is None or in_ring(neighbours, b, c):
            continue
        torsions.append((a, b, c, d))
    return np.array(torsions, np.int32).reshape(-1, 4)


def in_ring(neighbours: list[list[int]], b: int, c: int) -> bool:
    """Whether another way than their bond leads from atom b to atom c."""
    seen, waiting = {b}, [k for k in neighbours[b] if k != c]
    while waiting:
        atom = waiting.pop()
        if atom == c:
            return True
        if atom not in seen:
            seen.add(atom)
            waiting.extend(neighbours[atom])
    return False


def torsion_angles(positions: np.ndarray, torsions: np.ndarray) -> np.ndarray:
    """Angles of torsions in degrees, float64 ``[n_frames, n_torsions]``, in [−180, 180).

    Args:
        positions: ``[n_frames, n_atoms, 3]``.
        torsions: atoms a, b, c, d of each, int ``[n_torsions, 4]``.
    """
    a, b, c, d = (np.asarray(positions, np.float64)[:, torsions[:, k]] for k in range(4))
    first, axis, last = b - a, c - b, d - c
    normal, other = np.cross(first, axis), np.cross(axis, last)
    sine = np.linalg.norm(axis, axis=-1) * (first * other).sum(axis=-1)
    angles = np.degrees(np.arctan2(sine, (normal * other).sum(axis=-1)))
    return np.where(angles >= 180.0, angles - 360.0, angles)


def torsion_histogram(angles: np.ndarray, bins: int) -> np.ndarray:
    """Counts of angles (degrees, ``[n_frames, n_torsions]``) in equal bins of [−180, 180), ``[n_torsions, bins]``."""
    index = np.floor((angles + 180.0) * (bins / 360.0)).astype(np.int64).clip(0, bins - 1)
    n_torsions = angles.shape[1]
    flat = (index + bins * np.arange(n_torsions)).ravel()
    return np.bincount(flat, minlength=bins * n_torsions).reshape(n_torsions, bins)


def trans_fraction(angles: np.ndarray) -> float | None:
    """Share of angles (degrees) that are trans; None if there are none. The others are gauche."""
    return float((np.abs(angles) > TRANS).mean()) if angles.size else None


def angle_difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Smallest difference of angles in degrees, in [0, 180]; the arguments are broadcast."""
    return np.abs((first - second + 180.0) % 360.0 - 180.0)
