"""Bonds of molecules as arrays of fixed width, for the potentials that are told them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import Frames

MAX_BONDS = 4
"""Most bonds of an atom: enough for the closed-shell molecules of H, C, N, O, F, P, S and Cl met in organic chemistry,
hypervalent SF6 and PF5 excepted."""


@dataclass(frozen=True, eq=False)
class Topology:
    """Bonds and environments of the atoms of a set of frames.

    Attributes:
        neighbours: bonded neighbours of each atom, int32 ``[n_atoms, MAX_BONDS]``: indices within the frame, then the
            atom itself in the places that are left.
        keys: what an atom is to its bonds, int32 ``[n_atoms, 2]``: column 0 names its element and number of bonds,
            column 1 these and the same of its neighbours. Equal numbers are equal environments; the numbers depend on
            nothing but the graph.
    """

    neighbours: np.ndarray
    keys: np.ndarray


def topology_of(frames: Frames, graphs: Sequence[MolecularGraph]) -> Topology:
    """Topology of every atom of these frames, ``frames.molecule`` indexing the graphs.

    Raises:
        DataError: an atom with more than ``MAX_BONDS`` bonds.
    """
    found = {int(m): graph_topology(graphs[m]) for m in np.unique(frames.molecule)}
    parts = [found[int(m)] for m in frames.molecule]
    if not parts:
        return Topology(np.zeros((0, MAX_BONDS), np.int32), np.zeros((0, 2), np.int32))
    return Topology(np.concatenate([p.neighbours for p in parts]), np.concatenate([p.keys for p in parts]))


def perceived_graphs(frames: Frames) -> list[MolecularGraph]:
    """The molecule of each frame with its bonds, perceived from the geometry (needs RDKit).

    Raises:
        DataError: a frame that is no closed-shell molecule, named.
        CompBenchError: RDKit is not installed.
    """
    from compbench_jax.molecules.identify import identify_many

    ends = frames.offsets[1:-1]
    geometries = zip(np.split(frames.numbers, ends), np.split(frames.positions, ends), strict=True)
    graphs = []
    for k, found in enumerate(identify_many(geometries)):
        if isinstance(found, DataError):
            raise DataError(f"the bonds of structure {k} are not known: {found}")
        graphs.append(found.graph)
    return graphs


def given_graphs(frames: Frames, graphs: Sequence[MolecularGraph] | None) -> Sequence[MolecularGraph]:
    """Graphs given for frames, one each, or perceived where there are none.

    Raises:
        DataError: their number, or the atoms of one, differ from those of the frames; or see :func:`perceived_graphs`.
    """
    if graphs is None:
        return perceived_graphs(frames)
    numbers = np.split(frames.numbers, frames.offsets[1:-1])
    if len(graphs) != len(numbers):
        raise DataError(f"there are {len(graphs)} graphs for {len(numbers)} structures: give one for each")
    for k, (graph, own) in enumerate(zip(graphs, numbers, strict=True)):
        if not np.array_equal(graph.numbers, own):
            raise DataError(f"graph {k} has other atoms than its structure, or another order: give its own")
    return graphs


def graph_topology(graph: MolecularGraph) -> Topology:
    """Topology of one molecule.

    Raises:
        DataError: an atom with more than ``MAX_BONDS`` bonds.
    """
    around: list[list[int]] = [[] for _ in range(graph.n_atoms)]
    for i, j in graph.bonds.tolist():
        around[i].append(j)
        around[j].append(i)
    degree = np.array([len(atoms) for atoms in around], np.int32)
    if (degree > MAX_BONDS).any():
        atom = int(np.argmax(degree))
        raise DataError(
            f"atom {atom} of {graph.molecule.name} has {degree[atom]} bonds, potentials with a bonded topology take "
            f"{MAX_BONDS}: train one that sees no bonds (`compbench models`)"
        )
    neighbours = np.tile(np.arange(graph.n_atoms, dtype=np.int32)[:, None], (1, MAX_BONDS))
    for atom, atoms in enumerate(around):
        neighbours[atom, : len(atoms)] = atoms
    own = graph.numbers.astype(np.int32) * (MAX_BONDS + 1) + degree
    wider = [
        # A checksum, not Python's hash: the numbers are stored with the fitted parameters.
        zlib.crc32(np.array([own[atom], *sorted(own[atoms])], "<i4").tobytes()) & 0x7FFFFFFF
        for atom, atoms in enumerate(around)
    ]
    return Topology(neighbours, np.stack([own, np.array(wider, np.int32)], axis=1).astype(np.int32))
