"""Geometries along a torsion, a bond and a fold: rigid parts of a molecule moved along one coordinate."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from ase.data import vdw_radii

from compbench_jax.errors import DataError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.unseen import bond_distances
from compbench_jax.store.torsions import backbone_torsions, in_ring, torsion_angles

TORSION_POINTS = 24
STRETCH = np.round(np.arange(-0.2, 0.501, 0.05), 3)
"""Å that the bond is lengthened by."""

FOLD_POINTS = 17
GAUCHE = 65.0
"""Degrees."""

MOST_TURNED = 6
"""Torsions that a fold may turn, from the middle of the chain: 3⁶ sequences are tried."""

CLEAR = 0.72
"""Atoms four bonds apart or more that come closer than this part of the sum of their van der Waals radii clash."""


@dataclass(frozen=True, eq=False)
class Path:
    """A scan.

    Attributes:
        coordinate: of each point: degrees, Å or a fraction, ``[n_points]``.
        positions: Å, ``[n_points, n_atoms, 3]``.
        atoms: the bond turned or stretched (2), or the torsions turned (4 each), by index.
    """

    coordinate: np.ndarray
    positions: np.ndarray
    atoms: list[list[int]]

    def tangents(self) -> np.ndarray:
        """Unit vectors along the path in the space of all coordinates, ``[n_points, n_atoms, 3]``."""
        along = np.gradient(self.positions, axis=0)
        return along / np.sqrt((along**2).sum(axis=(1, 2), keepdims=True))


def neighbours_of(graph: MolecularGraph) -> list[list[int]]:
    """Bonded atoms of each atom."""
    found: list[list[int]] = [[] for _ in range(graph.n_atoms)]
    for i, j in graph.bonds.tolist():
        found[i].append(j)
        found[j].append(i)
    return found


def side_of(neighbours: list[list[int]], start: int, without: int) -> np.ndarray:
    """Atoms that hang on ``start`` when its bond with ``without`` is cut, ascending, ``start`` among them."""
    seen, waiting = {start, without}, [start]
    while waiting:
        for k in neighbours[waiting.pop()]:
            if k not in seen:
                seen.add(k)
                waiting.append(k)
    return np.array(sorted(seen - {without}))


def central_bond(graph: MolecularGraph) -> tuple[int, int] | None:
    """The bond between heavy atoms, in no ring, that cuts the molecule into the most equal parts; None without one.

    If any of them turns heavy atoms (it has a backbone torsion), only such bonds count.
    """
    neighbours = neighbours_of(graph)
    heavy = graph.numbers > 1
    bonds = [(b, c) for b, c in graph.bonds.tolist() if heavy[b] and heavy[c] and not in_ring(neighbours, b, c)]
    turning = [tuple(item) for item in backbone_torsions(graph)[:, 1:3].tolist()]
    bonds = [bond for bond in bonds if bond in turning] or bonds

    def balance(bond: tuple[int, int]) -> tuple[int, int]:
        sides = [side_of(neighbours, bond[0], bond[1]), side_of(neighbours, bond[1], bond[0])]
        return min(int(heavy[side].sum()) for side in sides), min(map(len, sides))

    return max(bonds, key=balance, default=None)


def turned(positions: np.ndarray, b: int, c: int, moved: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Positions with the atoms ``moved`` turned about the axis from b to c.

    Args:
        positions: Å, ``[…, n_atoms, 3]``.
        b: atom where the axis begins.
        c: atom where it ends.
        moved: atoms on c's side.
        degrees: of each geometry, ``[…]``; positive as torsions count (clockwise, seen from b to c).
    """
    axis = positions[..., c, :] - positions[..., b, :]
    axis = (axis / np.linalg.norm(axis, axis=-1, keepdims=True))[..., None, :]
    r = positions[..., moved, :] - positions[..., c, None, :]
    angle = np.radians(degrees)[..., None, None]
    along = (r * axis).sum(axis=-1, keepdims=True)
    # Rodrigues' formula.
    r = r * np.cos(angle) + np.cross(np.broadcast_to(axis, r.shape), r) * np.sin(angle)
    r = r + axis * along * (1.0 - np.cos(angle))
    found = positions.copy()
    found[..., moved, :] = r + positions[..., c, None, :]
    return found


def torsion_path(graph: MolecularGraph, positions: np.ndarray) -> Path:
    """One side of the molecule turned about its central bond, once around.

    Raises:
        DataError: no bond to turn about.
    """
    b, c = _central(graph)
    degrees = np.arange(TORSION_POINTS) * (360.0 / TORSION_POINTS)
    moved = side_of(neighbours_of(graph), c, b)
    start = np.repeat(positions[None], TORSION_POINTS, axis=0)
    return Path(degrees, turned(start, b, c, moved, degrees), [[b, c]])


def stretch_path(graph: MolecularGraph, positions: np.ndarray) -> Path:
    """The two sides of the central bond drawn apart along it.

    Raises:
        DataError: no bond to stretch.
    """
    b, c = _central(graph)
    axis = positions[c] - positions[b]
    found = np.repeat(positions[None], len(STRETCH), axis=0)
    found[:, side_of(neighbours_of(graph), c, b)] += STRETCH[:, None, None] * (axis / np.linalg.norm(axis))
    return Path(np.linalg.norm(axis) + STRETCH, found, [[b, c]])


def stretched_out(graph: MolecularGraph, positions: np.ndarray) -> np.ndarray:
    """The geometry with all backbone torsions turned to 180 degrees (all-trans), Å ``[n_atoms, 3]``.

    Raises:
        DataError: no backbone torsion.
    """
    torsions = _torsions(graph)
    found = positions.copy()
    for torsion in torsions:
        angle = torsion_angles(found[None], torsion[None])[0, 0]
        found = _set(graph, found, torsion, np.array(180.0 - angle))
    return found


def folding_path(graph: MolecularGraph, trans: np.ndarray) -> Path:
    """From all-trans to the sequence of trans and gauche torsions that brings the ends closest without a clash.

    All torsions turn at once, by equal parts of their way: the path crosses their barriers together.

    Args:
        graph: the molecule.
        trans: the stretched out geometry, Å ``[n_atoms, 3]``.

    Raises:
        DataError: no backbone torsion, or no sequence without a clash.
    """
    torsions = _torsions(graph)
    turns = np.array(list(product((0.0, GAUCHE - 180.0, 180.0 - GAUCHE), repeat=len(torsions))))
    # A sequence and its mirror image are one: the first turn is to one side.
    first = np.array([row[np.flatnonzero(row)[0]] if row.any() else 0.0 for row in turns])
    turns = turns[first < 0]
    folded = np.repeat(trans[None], len(turns), axis=0)
    for k, torsion in enumerate(torsions):
        folded = _set(graph, folded, torsion, turns[:, k])
    clear = ~clashes(graph, folded)
    if not clear.any():
        raise DataError(f"{graph.molecule.name}: every fold of its chain brings atoms onto each other: leave it out")
    turns, folded = turns[clear], folded[clear]
    ends = _ends(graph)
    distance = np.linalg.norm(folded[:, ends[0]] - folded[:, ends[1]], axis=-1)
    best = turns[int(np.argmin(distance))]
    part = np.linspace(0.0, 1.0, FOLD_POINTS)
    path = np.repeat(trans[None], FOLD_POINTS, axis=0)
    for torsion, turn in zip(torsions, best, strict=True):
        path = _set(graph, path, torsion, part * turn)
    return Path(part, path, torsions.tolist())


def clashes(graph: MolecularGraph, positions: np.ndarray) -> np.ndarray:
    """Whether atoms at least four bonds apart are on top of each other, bool ``[n]`` for ``[n, n_atoms, 3]``."""
    apart = np.stack([bond_distances(graph, np.arange(graph.n_atoms) == k) for k in range(graph.n_atoms)])
    i, j = np.nonzero(np.triu((apart > 3) | (apart < 0), 1))
    # ASE has no radius for some elements: two ångström serve.
    radii = np.nan_to_num(np.asarray(vdw_radii)[graph.numbers], nan=2.0)
    found = np.zeros(len(positions), bool)
    for start in range(0, len(positions), 64):
        block = positions[start : start + 64]
        distance = np.linalg.norm(block[:, i] - block[:, j], axis=-1)
        found[start : start + 64] = (distance < CLEAR * (radii[i] + radii[j])).any(axis=1)
    return found


def _set(graph: MolecularGraph, positions: np.ndarray, torsion: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Turn a torsion by these degrees (``[…]`` for positions ``[…, n_atoms, 3]``)."""
    _, b, c, _ = (int(k) for k in torsion)
    return turned(positions, b, c, side_of(neighbours_of(graph), c, b), degrees)


def _central(graph: MolecularGraph) -> tuple[int, int]:
    bond = central_bond(graph)
    if bond is None:
        raise DataError(f"{graph.molecule.name} has no bond between heavy atoms outside a ring: leave it out")
    return bond


def _torsions(graph: MolecularGraph) -> np.ndarray:
    """Backbone torsions nearest the middle of the molecule, at most ``MOST_TURNED``, int ``[n, 4]``."""
    torsions = backbone_torsions(graph)
    if not len(torsions):
        raise DataError(f"{graph.molecule.name} has no chain to fold: leave it out")
    neighbours, heavy = neighbours_of(graph), graph.numbers > 1
    balance = [
        min(int(heavy[side_of(neighbours, int(x), int(y))].sum()) for x, y in ((b, c), (c, b)))
        for _, b, c, _ in torsions
    ]
    order = np.argsort(-np.array(balance), kind="stable")[:MOST_TURNED]
    return torsions[np.sort(order)]


def _ends(graph: MolecularGraph) -> tuple[int, int]:
    """The two heavy atoms with the most bonds between them."""
    heavy = np.flatnonzero(graph.numbers > 1)
    apart = np.stack([bond_distances(graph, np.arange(graph.n_atoms) == k)[heavy] for k in heavy])
    i, j = np.unravel_index(int(np.argmax(apart)), apart.shape)
    return int(heavy[i]), int(heavy[j])
