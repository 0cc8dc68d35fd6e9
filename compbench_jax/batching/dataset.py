"""A set of frames ready for a potential: neighbour lists, targets, and padded batches of one shape."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jraph
import numpy as np
from ase.data import chemical_symbols

from compbench_jax.batching.neighbours import EdgeLists, neighbour_lists, refuse_not_finite
from compbench_jax.batching.packing import (
    BatchShape,
    Packed,
    buffer_rows,
    fixed_shape,
    pack,
    pack_in_order,
    padding,
    plans_per_epoch,
    refuse_too_large,
)
from compbench_jax.batching.topology import MAX_BONDS, Topology, topology_of
from compbench_jax.batching.triplets import incoming_edges, most_incoming, triplet_padding
from compbench_jax.errors import DataError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import Frames, offsets_of, ragged_indices


class BatchedFrames(ABC):
    """Frames that are taken in padded batches: their sizes, and plans of batches, which depend on nothing else.

    Attributes:
        batch_size: mean number of structures per batch.
        shape: array sizes of every batch.
    """

    batch_size: int
    shape: BatchShape

    @property
    @abstractmethod
    def n_atoms(self) -> np.ndarray:
        """Atoms of each frame, int64 ``[n_frames]``."""

    @property
    @abstractmethod
    def n_edges(self) -> np.ndarray:
        """Edges of each frame, int64 ``[n_frames]``."""

    @abstractmethod
    def batch(self, item: Packed) -> jraph.GraphsTuple:
        """Assemble one batch of a plan (layout: see :class:`GraphDataset`)."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.n_atoms)

    @property
    def plans_per_epoch(self) -> int:
        """Plans that have every frame once between them: one, more for a set that is shuffled by buffer."""
        return plans_per_epoch(self.n_frames)

    def epoch(self, seed: int, number: int) -> list[Packed]:
        """Batches of one plan, counted from the start of training; mixed by ``seed`` and ``number``.

        It has every frame once, or, for a set that is shuffled by buffer, those of one buffer.
        """
        rng = np.random.default_rng([seed, number])
        rows = buffer_rows(self.n_frames, seed, number)
        plan = pack(self.n_atoms[rows], self.n_edges[rows], self.shape, self.batch_size, rng)
        return [Packed(item.shape, rows[item.indices]) for item in plan]

    def sequential(self) -> list[Packed]:
        """Batches for evaluation: every frame once, in as few batches as will do, the same in every call."""
        return list(self._in_order)

    @cached_property
    def _in_order(self) -> list[Packed]:
        return pack_in_order(self.n_atoms, self.n_edges, self.shape)

    def padding(self, plan: Sequence[Packed]) -> tuple[float, float]:
        """Fractions of the nodes and of the edges in the batches of a plan that are padding."""
        return padding(plan, self.n_atoms, self.n_edges)


@dataclass(frozen=True, eq=False)
class GraphDataset(BatchedFrames):
    """Frames with their edges, and how to batch them. Made by :meth:`build`.

    A batch is a ``jraph.GraphsTuple`` of NumPy arrays, in Å, eV and eV/Å:

    - ``nodes``: ``positions`` float32 (in all of this: float64 if the set was built so) ``[n_node, 3]``, ``species``
      int32 ``[n_node]`` (index into ``elements``), ``forces`` float32 ``[n_node, 3]``; zero on padding;
    - ``senders``, ``receivers`` int32 ``[n_edge]``, sorted by receiver, then by sender; padding edges join the
      first padding node to itself;
    - ``edges`` is None or, if the shape has room for triplets, ``{"triplets": int32 [n_node, n_incoming]}``: the
      real edges that end at each node, in order, then ``n_edge``. Any two of a row are a triplet. Rows are nodes
      here, against the custom of jraph: none of its functions that walk over ``edges`` may be used on such a graph;
    - ``globals``: ``energy`` float32 ``[n_graph]``, the interaction energy; ``frame`` int32 ``[n_graph]``,
      the position of the graph in ``frames``, −1 for padding;
    - ``n_node``, ``n_edge`` int32 ``[n_graph]``: the real graphs, then one padding graph that owns all
      padding nodes and edges (one node at least), then empty slots.

    Attributes:
        frames: the labelled geometries.
        edges: their neighbour lists.
        elements: atomic numbers that ``species`` indexes, ascending.
        species: int32 ``[n_atoms]``.
        reference: Σ of the reference energies of a frame's atoms, eV, float64 ``[n_frames]``.
        targets: interaction energies ``frames.energy − reference``, eV, float32 ``[n_frames]`` (subtracted in
            float64).
        cutoff: Å.
        batch_size: mean number of structures per batch.
        shape: array sizes of every batch.
        topology: the molecules' bonds, for potentials that are told them; batches then have also
            ``nodes["neighbours"]`` int32 ``[n_node, 4]``, the bonded nodes and then the node itself, and
            ``nodes["keys"]`` int32 ``[n_node, 2]``, see :class:`compbench_jax.batching.topology.Topology`.
    """

    frames: Frames
    edges: EdgeLists
    elements: tuple[int, ...]
    species: np.ndarray
    reference: np.ndarray
    targets: np.ndarray
    cutoff: float
    batch_size: int
    shape: BatchShape
    topology: Topology | None = None

    @classmethod
    def build(
        cls,
        frames: Frames,
        *,
        elements: Sequence[int],
        reference_energies: Sequence[float],
        cutoff: float,
        batch_size: int,
        shape: BatchShape | None = None,
        graphs: Sequence[MolecularGraph] | None = None,
        triplets: bool = False,
        dtype: type = np.float32,
    ) -> "GraphDataset":
        """Compute neighbour lists and targets, and choose the shape of the batches.

        Args:
            frames: at least one.
            elements: atomic numbers known to the potential, ascending.
            reference_energies: eV per atom of each element.
            cutoff: Å.
            batch_size: mean number of structures per batch.
            shape: to share with another set (one compilation less); by default one that suits these frames.
            graphs: molecules that ``frames.molecule`` indexes, for potentials that are told the bonds.
            triplets: give each batch the table of its triplets, for potentials that see angles.
            dtype: of positions, forces and energies in the batches.

        Raises:
            DataError: no frames, an element that is not among ``elements``, a label or position that is not
                finite, or a frame that the given shape cannot hold.
        """
        elements = tuple(int(number) for number in elements)
        counts = compositions(frames, elements)
        refuse_not_finite(frames, frames.forces, "force")
        refuse_not_finite(frames, frames.energy, "energy")
        edges = neighbour_lists(frames, cutoff)
        if shape is None:
            shape = fixed_shape(frames.n_atoms, edges.n_edges, batch_size)
        refuse_too_large(frames.n_atoms, edges.n_edges, shape)
        if triplets:
            width = most_incoming(_receivers_of_all(frames, edges))
            if 0 < shape.n_incoming < width:
                raise DataError(
                    f"an atom of the set has {width} neighbours, the batches have room for {shape.n_incoming}: "
                    "let the set have a shape of its own"
                )
            shape = shape._replace(n_incoming=shape.n_incoming or width)
        reference = counts @ np.asarray(reference_energies, np.float64)
        return cls(
            frames=frames,
            edges=edges,
            elements=elements,
            species=np.searchsorted(elements, frames.numbers).astype(np.int32),
            reference=reference,
            targets=(frames.energy - reference).astype(dtype),
            cutoff=cutoff,
            batch_size=batch_size,
            shape=shape,
            topology=None if graphs is None else topology_of(frames, graphs),
        )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.frames.n_frames

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms of each frame, int64 ``[n_frames]``."""
        return self.frames.n_atoms

    @property
    def n_edges(self) -> np.ndarray:
        """Edges of each frame, int64 ``[n_frames]``."""
        return self.edges.n_edges

    def triplet_padding(self, plan: Sequence[Packed]) -> float:
        """Fraction of the places for triplets in the batches of a plan that are empty; 0 without triplets."""
        if not self.shape.n_incoming:
            return 0.0
        receivers = _receivers_of_all(self.frames, self.edges)
        return triplet_padding(receivers, len(plan), self.shape.n_node, self.shape.n_incoming)

    def batch(self, item: Packed) -> jraph.GraphsTuple:
        """Assemble one batch of a plan (layout: see the class)."""
        shape, indices = item
        n_real = len(indices)
        atom_starts, edge_starts = self.frames.offsets[indices], self.edges.offsets[indices]
        atoms = self.frames.offsets[indices + 1] - atom_starts
        edges = self.edges.offsets[indices + 1] - edge_starts
        first_nodes = offsets_of(atoms)
        n_atoms, n_edges = int(first_nodes[-1]), int(edges.sum())
        if n_atoms >= shape.n_node or n_edges > shape.n_edge or n_real >= shape.n_graph:
            raise ValueError(f"{n_real} structures of {n_atoms} atoms and {n_edges} edges do not fit {shape}")

        dtype = self.targets.dtype
        positions = np.zeros((shape.n_node, 3), dtype)
        forces = np.zeros((shape.n_node, 3), dtype)
        species = np.zeros(shape.n_node, np.int32)
        rows = ragged_indices(atom_starts, atoms)
        positions[:n_atoms] = self.frames.positions[rows]
        forces[:n_atoms] = self.frames.forces[rows]
        species[:n_atoms] = self.species[rows]
        nodes = {"positions": positions, "species": species, "forces": forces}
        if self.topology is not None:
            nodes |= {"neighbours": np.tile(np.arange(shape.n_node, dtype=np.int32)[:, None], (1, MAX_BONDS))}
            nodes |= {"keys": np.zeros((shape.n_node, self.topology.keys.shape[1]), np.int32)}
            shift = np.repeat(first_nodes[:-1], atoms).astype(np.int32)
            nodes["neighbours"][:n_atoms] = self.topology.neighbours[rows] + shift[:, None]
            nodes["keys"][:n_atoms] = self.topology.keys[rows]

        senders = np.full(shape.n_edge, n_atoms, np.int32)
        receivers = np.full(shape.n_edge, n_atoms, np.int32)
        rows, shift = ragged_indices(edge_starts, edges), np.repeat(first_nodes[:-1], edges)
        senders[:n_edges] = self.edges.senders[rows] + shift
        receivers[:n_edges] = self.edges.receivers[rows] + shift
        triplets = None
        if shape.n_incoming:
            table = incoming_edges(receivers[:n_edges], shape.n_node, shape.n_incoming, filler=shape.n_edge)
            triplets = {"triplets": table}

        n_node, n_edge = np.zeros(shape.n_graph, np.int32), np.zeros(shape.n_graph, np.int32)
        n_node[:n_real], n_node[n_real] = atoms, shape.n_node - n_atoms
        n_edge[:n_real], n_edge[n_real] = edges, shape.n_edge - n_edges
        energy, frame = np.zeros(shape.n_graph, dtype), np.full(shape.n_graph, -1, np.int32)
        energy[:n_real], frame[:n_real] = self.targets[indices], indices
        return jraph.GraphsTuple(
            nodes=nodes,
            edges=triplets,
            senders=senders,
            receivers=receivers,
            n_node=n_node,
            n_edge=n_edge,
            globals={"energy": energy, "frame": frame},
        )


def _receivers_of_all(frames: Frames, edges: EdgeLists) -> np.ndarray:
    """Receivers of all edges ``[n_edges]``, as rows of all atoms."""
    return edges.receivers + np.repeat(frames.offsets[:-1], edges.n_edges)


def compositions(frames: Frames, elements: Sequence[int]) -> np.ndarray:
    """Number of atoms of each element in each frame, float64 ``[n_frames, n_elements]``.

    Raises:
        DataError: an atom of another element, named with its molecule; or ``elements`` not ascending.
    """
    known = np.asarray(elements, np.int64)
    if not len(known) or (np.diff(known) <= 0).any():
        raise DataError(f"the elements {tuple(elements)} must be atomic numbers in ascending order, each once")
    species = np.minimum(np.searchsorted(known, frames.numbers), len(known) - 1)
    unknown = known[species] != frames.numbers
    owner = np.repeat(np.arange(frames.n_frames), frames.n_atoms)
    if unknown.any():
        atom = int(np.argmax(unknown))
        names = ", ".join(map(symbol, known))
        raise DataError(
            f"molecule {int(frames.molecule[owner[atom]])} (frame {owner[atom]} of the set) contains "
            f"{symbol(frames.numbers[atom])}, the potential knows only {names}: "
            "train on a set with this element"
        )
    counts = np.bincount(owner * len(known) + species, minlength=frames.n_frames * len(known))
    return counts.reshape(frames.n_frames, len(known)).astype(np.float64)


def symbol(number: int) -> str:
    """Chemical symbol of an atomic number, or the number itself where there is none."""
    return chemical_symbols[number] if 0 < number < len(chemical_symbols) else f"atomic number {number}"
