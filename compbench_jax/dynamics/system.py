"""Many molecules as one padded batch whose atoms move: neighbours are searched on the device at every step.

All pairs of each molecule are kept; at every geometry those within the cutoff are picked out in order. Edges are
therefore those of a new search always, there is no skin to outlive, and nothing returns to the host. A pair costs a
distance: for molecules of up to a few hundred atoms that is little compared with the potential itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from compbench_jax.batching.dataset import symbol
from compbench_jax.batching.topology import MAX_BONDS, graph_topology
from compbench_jax.errors import DataError
from compbench_jax.models.potential import Params, Potential
from compbench_jax.models.precision import dtype_of
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import offsets_of

SPARE = 1.15
"""Room for edges over what the present geometry has: molecules fold. Without room the program is compiled again."""


class Layout(NamedTuple):
    """What of a batch does not move.

    Attributes:
        species: int32 ``[n_node]``, 0 on padding.
        real: bool ``[n_node]``.
        owner: graph of each node, int32 ``[n_node]``.
        n_node: nodes of each graph, int32 ``[n_graph]``: the molecules, the padding graph, empty slots.
        senders, receivers: all ordered pairs of atoms of a molecule, int32 ``[n_pair]``, sorted by receiver, then by
            sender; padding pairs join the last node to itself.
        neighbours, keys: as in :class:`compbench_jax.batching.topology.Topology`, of all nodes; None for potentials
            that are not told bonds.
    """

    species: Any
    real: Any
    owner: Any
    n_node: Any
    senders: Any
    receivers: Any
    neighbours: Any = None
    keys: Any = None


class Room(NamedTuple):
    """Sizes that depend on the geometry: edges, and most edges that end at a node (0 without triplets)."""

    n_edge: int
    n_incoming: int


class Shape(NamedTuple):
    """Sizes of a layout: systems of one shape share their programs."""

    n_node: int
    n_pair: int
    n_graph: int


class System:
    """Molecules in one batch.

    Args:
        potential: that they are given to.
        graphs: the molecules; one may occur several times.
        shape: at least as large as they need; by default just that.

    Attributes:
        graphs: the molecules.
        offsets: first node of each, int64 ``[n_molecules + 1]``.
        layout: the arrays that do not move (NumPy).
        shape: their sizes.
        room: for the edges; grows when a geometry needs more.

    Raises:
        DataError: an element that the potential does not know.
    """

    def __init__(self, potential: Potential, graphs: Sequence[MolecularGraph], shape: Shape | None = None):
        self.potential, self.graphs = potential, tuple(graphs)
        counts = np.array([graph.n_atoms for graph in graphs], np.int64)
        self.offsets, self.n_atoms = offsets_of(counts), int(counts.sum())
        self.shape = shape or shape_of(graphs)
        self.room = Room(0, 0)
        n_node, n_pair, n_graph = self.shape
        n_nodes = np.zeros(n_graph, np.int32)
        n_nodes[: len(graphs)], n_nodes[len(graphs)] = counts, n_node - self.n_atoms
        species = np.zeros(n_node, np.int32)
        species[: self.n_atoms] = species_of(potential, graphs)
        senders, receivers = np.full(n_pair, n_node - 1, np.int32), np.full(n_pair, n_node - 1, np.int32)
        start = 0
        for first, count in zip(self.offsets, counts, strict=False):
            receiver, sender = np.nonzero(~np.eye(count, dtype=bool))
            senders[start : start + len(sender)] = sender + first
            receivers[start : start + len(sender)] = receiver + first
            start += len(sender)
        neighbours = keys = None
        if potential.needs_bonds:
            neighbours = np.tile(np.arange(n_node, dtype=np.int32)[:, None], (1, MAX_BONDS))
            keys = np.zeros((n_node, 2), np.int32)
            for first, graph in zip(self.offsets, graphs, strict=False):
                topology = graph_topology(graph)
                neighbours[first : first + graph.n_atoms] = topology.neighbours + np.int32(first)
                keys[first : first + graph.n_atoms] = topology.keys
        self.layout = Layout(
            species,
            np.arange(n_node) < self.n_atoms,
            np.repeat(np.arange(n_graph, dtype=np.int32), n_nodes),
            n_nodes,
            senders,
            receivers,
            neighbours,
            keys,
        )

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers of the atoms, int32 ``[n_atoms]``."""
        return np.concatenate([graph.numbers for graph in self.graphs])

    def pad(self, atoms: np.ndarray) -> np.ndarray:
        """Values of the atoms ``[n_atoms, …]`` as values of the nodes, zero on padding, in its precision."""
        nodes = np.zeros((self.shape.n_node, *atoms.shape[1:]), dtype_of(self.potential.precision))
        nodes[: self.n_atoms] = atoms
        return nodes

    def split(self, nodes: np.ndarray) -> list[np.ndarray]:
        """Values of atoms or nodes ``[≥ n_atoms, …]`` by molecule."""
        return np.split(nodes[: self.n_atoms], self.offsets[1:-1])

    def centred(self, positions: Sequence[np.ndarray]) -> np.ndarray:
        """Positions of the molecules (Å, each ``[n, 3]``) around the origin, ``[n_atoms, 3]``.

        Far from it float32 has no digits left for small displacements.
        """
        return np.concatenate([item - item.mean(axis=0) for item in positions])

    def reserve(self, positions: np.ndarray) -> Room:
        """Make room for these positions of the nodes (Å, ``[n_node, 3]``), and return what there is now."""
        self._grow(self._count(positions))
        return self.room

    def settle(self, call: Callable[[Room], tuple[Any, np.ndarray]], positions: np.ndarray) -> Any:
        """What ``call`` returns, called with more room until it suffices.

        Args:
            call: of a room; returns its answer and the largest number of edges and incoming edges it met.
            positions: of the nodes, that it starts from.
        """
        self.reserve(positions)
        while True:
            answer, needed = call(self.room)
            if not self._grow(np.asarray(needed), SPARE):
                return answer

    def _count(self, positions: np.ndarray) -> np.ndarray:
        """Edges, and most edges that end at a node, at these positions."""
        layout = self.layout
        near = ((positions[layout.receivers] - positions[layout.senders]) ** 2).sum(-1) < self.potential.cutoff**2
        near &= layout.receivers != layout.senders
        return np.array([near.sum(), np.bincount(layout.receivers[near], minlength=1).max()])

    def _grow(self, needed: np.ndarray, spare: float = 1.0) -> bool:
        """Make room where it lacks; whether it did."""
        edges, incoming = int(needed[0]), int(needed[1]) if self.potential.triplets else 0
        lacking = edges > self.room.n_edge or incoming > self.room.n_incoming
        if lacking:
            most = int((self.layout.receivers != self.layout.senders).sum())
            wide = max(graph.n_atoms for graph in self.graphs) - 1
            free = SPARE * spare
            self.room = Room(
                max(self.room.n_edge, min(-(-max(1, round(free * edges)) // 64) * 64, max(most, 1))),
                max(self.room.n_incoming, min(-(-round(free * incoming) // 4) * 4, max(wide, 1))) if incoming else 0,
            )
            if self.potential.triplets and not self.room.n_incoming:  # atoms without neighbours
                self.room = self.room._replace(n_incoming=1)
        return lacking


def shape_of(graphs: Sequence[MolecularGraph]) -> Shape:
    """The least shape that holds these molecules."""
    counts = [graph.n_atoms for graph in graphs]
    return Shape(sum(counts) + 1, max(1, sum(n * (n - 1) for n in counts)), len(counts) + 1)


def common_shape(groups: Sequence[Sequence[MolecularGraph]]) -> Shape:
    """One shape for several systems."""
    return Shape(*(max(sizes) for sizes in zip(*map(shape_of, groups), strict=True)))


def species_of(potential: Potential, graphs: Sequence[MolecularGraph]) -> np.ndarray:
    """Species of the atoms, int32 ``[n_atoms]``.

    Raises:
        DataError: an element that the potential does not know.
    """
    elements = np.array(potential.normalisation.elements)
    for graph in graphs:
        unknown = np.setdiff1d(graph.numbers, elements)
        if len(unknown):
            raise DataError(
                f"{graph.molecule.name} contains {symbol(int(unknown[0]))}, the potential knows only "
                f"{', '.join(map(symbol, elements.tolist()))}: take a run that was trained on a set with this element"
            )
    return np.searchsorted(elements, np.concatenate([graph.numbers for graph in graphs])).astype(np.int32)


def graph_at(
    potential: Potential, layout: Layout, room: Room, positions: jax.Array
) -> tuple[jraph.GraphsTuple, jax.Array]:
    """The batch at these positions, as :class:`compbench_jax.batching.dataset.GraphDataset` makes them, in JAX.

    Args:
        potential: whose cutoff it has.
        layout: of the batch.
        room: static.
        positions: Å, ``[n_node, 3]``.

    Returns:
        the batch, and int32 ``[2]``, the edges and the most incoming edges that there are: if there is no room for
        them, edges are missing and the batch is not to be used.
    """
    n_node, n_pair = layout.species.shape[0], layout.senders.shape[0]
    senders, receivers = jnp.asarray(layout.senders), jnp.asarray(layout.receivers)
    fixed = jax.lax.stop_gradient(positions)
    squared = ((fixed[receivers] - fixed[senders]) ** 2).sum(-1)
    near = (squared < potential.cutoff**2) & (senders != receivers)
    degree = jax.ops.segment_sum(near.astype(jnp.int32), receivers, n_node, indices_are_sorted=True)
    (chosen,) = jnp.nonzero(near, size=room.n_edge, fill_value=n_pair)
    last = jnp.full(1, n_node - 1, jnp.int32)
    of_edges = [jnp.concatenate([ends, last])[chosen] for ends in (senders, receivers)]
    edges = None
    if potential.triplets:
        place = jnp.arange(room.n_incoming)
        first = jnp.cumsum(degree) - degree
        table = jnp.where(place[None] < degree[:, None], first[:, None] + place[None], room.n_edge)
        edges = {"triplets": table.astype(jnp.int32)}
    nodes = {"positions": positions, "species": jnp.asarray(layout.species)}
    if layout.neighbours is not None:
        nodes |= {"neighbours": jnp.asarray(layout.neighbours), "keys": jnp.asarray(layout.keys)}
    n_edge = jax.ops.segment_sum(degree, layout.owner, layout.n_node.shape[0], indices_are_sorted=True)
    graph = jraph.GraphsTuple(
        nodes=nodes,
        edges=edges,
        senders=of_edges[0],
        receivers=of_edges[1],
        n_node=jnp.asarray(layout.n_node),
        n_edge=n_edge,
        globals=None,
    )
    return graph, jnp.stack([near.sum(), degree.max()]).astype(jnp.int32)


def energy_and_forces_at(
    potential: Potential, params: Params, layout: Layout, room: Room, positions: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Interaction energies, eV ``[n_graph]``, forces, eV/Å ``[n_node, 3]`` (zero on padding), and what was needed."""
    graph, needed = graph_at(potential, layout, room, positions)
    energy, forces = potential.energy_and_forces(params, graph)
    return energy, jnp.where(jnp.asarray(layout.real)[:, None], forces, 0.0), needed
