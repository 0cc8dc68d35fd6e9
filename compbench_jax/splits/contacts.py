"""Unseen contacts: kinds of atoms that are close in an OOD frame but never in train.

A *contact* is a pair of atoms closer than the cutoff that neither a bond nor an angle joins (1-4 and beyond, what force
fields call non-bonded). Its type is the unordered pair of the atoms' kinds, and the kind of an atom is its element with
the elements bonded to it: ``C(COO)`` is the carbon of a carboxyl group.

Two choices need a reason. First, the kind is a radius-1 environment of plain elements and not the Morgan identifier of
radius 1, which also counts the hydrogens and bonds of each neighbour and so sees half-way to radius 2. With those,
every frame of every alkane beyond hexane would have an unseen contact (two CH2 whose neighbours are CH2 meet at
2.5 Å), and the question whether the *fragments* meet could not be asked. With elements no longer alkane has any, and
a di-acid has one just where its carboxyl groups come close: always at C3 and C4, from C6 on only where it folds.
Second, 1-3 pairs are left out with the bonded ones: an angle holds them at one distance whatever the conformation.
Were they counted in train, the two oxygens of one carboxyl group would make the meeting of two such groups look known.
"""

from collections.abc import Collection, Iterator

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.store import FrameStore

DEFAULT_CUTOFF = 5.0
"""Å; the cutoff of contacts in every audit and evaluation, whatever the cutoff of the potential. Results of two
potentials could not be compared by contact if each had its own."""

CHUNK = 2_000_000
"""Pair distances held at once: 24 MB of float32 vectors, whatever the length of the trajectory."""

FIRST = 256
"""Frames of a molecule in which all pairs are looked at."""

ContactType = tuple[str, str]
"""Two kinds of atoms, in alphabetical order."""


def atom_kinds(graph: MolecularGraph) -> list[str]:
    """Each atom's element with the elements bonded to it, e.g. ``"C(CHHN)"``, ``[n_atoms]``."""
    symbols = [chemical_symbols[z] for z in graph.numbers]
    bonded: list[list[str]] = [[] for _ in symbols]
    for i, j in graph.bonds:
        bonded[i].append(symbols[j])
        bonded[j].append(symbols[i])
    return [f"{symbol}({''.join(sorted(others))})" for symbol, others in zip(symbols, bonded, strict=True)]


def nonbonded_pairs(graph: MolecularGraph) -> tuple[np.ndarray, np.ndarray]:
    """Atom pairs i < j that are neither bonded nor bonded to one third atom, int64 ``[n_pairs]`` twice."""
    joined = np.zeros((graph.n_atoms, graph.n_atoms), int)
    i, j = graph.bonds[:, 0], graph.bonds[:, 1]
    joined[i, j] = joined[j, i] = 1
    near = (joined + joined @ joined) > 0
    i, j = np.nonzero(np.triu(~near, k=1))
    return i, j


def contact_pairs(store: FrameStore, frames: np.ndarray, cutoff: float = DEFAULT_CUTOFF) -> set[ContactType]:
    """Types of all contacts in these frames.

    Args:
        store: where the frames are.
        frames: their indices.
        cutoff: Å.
    """
    found: set[ContactType] = set()
    frames = np.asarray(frames, np.int64)
    for molecule, rows in _by_molecule(store, frames):
        graph = store.graphs[molecule]
        i, j = nonbonded_pairs(graph)
        types = _types(graph, i, j)
        # A few frames have nearly all types: those found need no distance in the many others.
        for some in (rows[:FIRST], rows[FIRST:]):
            left = np.array([pair not in found for pair in types], bool)
            met = np.zeros(np.count_nonzero(left), bool)
            for _, close in _close_pairs(store, graph, frames[some], i[left], j[left], cutoff):
                met |= close.any(axis=0)
            found.update(types[k] for k in np.flatnonzero(left)[met])
    return found


def unseen_contact_frames(
    store: FrameStore, train: np.ndarray, frames: np.ndarray, cutoff: float = DEFAULT_CUTOFF
) -> np.ndarray:
    """Which frames have a contact of a type that no training frame has.

    Args:
        store: where the frames are.
        train: indices of the training frames.
        frames: indices of the frames asked about, in any order.
        cutoff: Å.

    Returns:
        bool ``[len(frames)]``, in the order of ``frames``.
    """
    return frames_with_others(store, contact_pairs(store, train, cutoff), frames, cutoff)


def frames_with_others(
    store: FrameStore, known: Collection[ContactType], frames: np.ndarray, cutoff: float = DEFAULT_CUTOFF
) -> np.ndarray:
    """Which frames have a contact of a type that is not among the known ones, bool ``[len(frames)]``."""
    frames = np.asarray(frames, np.int64)
    unseen = np.zeros(len(frames), bool)
    for molecule, rows in _by_molecule(store, frames):
        graph = store.graphs[molecule]
        i, j = nonbonded_pairs(graph)
        new = np.array([pair not in known for pair in _types(graph, i, j)], bool)
        # Pairs of a known type need no distance: in most molecules hardly any pair is left.
        for chunk, close in _close_pairs(store, graph, frames[rows], i[new], j[new], cutoff):
            unseen[rows[chunk]] = close.any(axis=1)
    return unseen


def _types(graph: MolecularGraph, i: np.ndarray, j: np.ndarray) -> list[ContactType]:
    """Type of each pair of atoms, ``[n_pairs]``."""
    kinds = atom_kinds(graph)
    return [(min(kinds[a], kinds[b]), max(kinds[a], kinds[b])) for a, b in zip(i, j, strict=True)]


def _by_molecule(store: FrameStore, frames: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each molecule among the frames, with the places in ``frames`` where it stands."""
    owners = store.molecule[frames]
    for molecule in np.unique(owners):
        yield int(molecule), np.flatnonzero(owners == molecule)


def _close_pairs(
    store: FrameStore, graph: MolecularGraph, frames: np.ndarray, i: np.ndarray, j: np.ndarray, cutoff: float
) -> Iterator[tuple[slice, np.ndarray]]:
    """Chunks of one molecule's frames, as slices, and their close pairs, bool ``[chunk, n_pairs]``."""
    if not len(i):
        return
    size = max(1, CHUNK // len(i))
    for start in range(0, len(frames), size):
        chunk = slice(start, min(start + size, len(frames)))
        rows = store.offsets[frames[chunk]][:, None] + np.arange(graph.n_atoms)
        positions = store.positions[rows]
        vectors = positions[:, i] - positions[:, j]
        yield chunk, (vectors * vectors).sum(axis=-1) < cutoff**2
