"""A potential: a network that gives each atom an energy, and what turns it into energies and forces in eV and Å."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import jraph

from compbench_jax.models.baselines.bonded import Bonds
from compbench_jax.models.equivariant.backend import computed_by
from compbench_jax.models.layers.radial_table import tabulated
from compbench_jax.models.long_range import Molecules
from compbench_jax.models.precision import arithmetic
from compbench_jax.models.remat import remembering_layers_only

Params = Any

PRIOR = "prior"
"""Key of the prior's parameters among those of a potential that has one."""


@dataclass(frozen=True)
class Normalisation:
    """Constants fitted on the training frames only.

    Attributes:
        elements: atomic numbers the potential knows, ascending; ``species`` of a graph index into it.
        reference_energies: eV per atom of each element (least squares on train); taken out of every target.
        scale: eV; root mean square of the training force components (eV/Å), multiplies the network's output.
        average_neighbours: mean number of neighbours of an atom within the cutoff.
        element_fan_in: number of elements that weights by element are normalised for; 0: that of ``elements``. A run
            that starts from another has the other's, so that it starts from its energies, too.
    """

    elements: tuple[int, ...]
    reference_energies: tuple[float, ...]
    scale: float
    average_neighbours: float
    element_fan_in: int = 0


@dataclass(frozen=True)
class Potential:
    """Energies and forces of padded graph batches.

    The network is a flax module called as ``module(vectors [n_edge, 3] Å, species [n_node], senders [n_edge],
    receivers [n_edge]) -> node energies [n_node]`` in units of ``normalisation.scale``. Edge vectors point from sender
    to receiver; edges are sorted by receiver, then by sender, and come in both directions; a padding edge has length
    zero and joins a padding node to itself. A network of triplets gets a fifth argument, the edges that end at each
    node ``[n_node, n_incoming]`` (``batching/triplets.py``).

    Energies here are *interaction* energies, eV: total energy minus the reference energies of the atoms, which are
    added on the host in float64 (float32 cannot hold thousands of eV to a meV).

    Attributes:
        module: the network.
        normalisation: constants of the training frames.
        cutoff: Å, radius of the neighbour list.
        direct: the network predicts direct (non-conservative) forces as well as energies: it returns ``(node energies
            [n_node], node forces [n_node, 3])``, the forces in units of ``normalisation.scale`` (eV/Å). They are no
            gradient: energy is not conserved along a trajectory, and a molecule may have a net force.
        bonded: the network needs the molecules' bonds, its fifth argument
            (:class:`compbench_jax.models.baselines.bonded.Bonds`): ``GraphDataset.build(…, graphs=graphs)``.
        triplets: the network needs the triplets of a batch: ``GraphDataset.build(…, triplets=True)``.
        long_range: the network needs whole molecules, its fifth argument
            (:class:`compbench_jax.models.long_range.Molecules`).
        precision: of its arithmetic (:mod:`compbench_jax.models.precision`); the numbers themselves are as precise as
            the batches and parameters it is given.
        backend: what computes equivariant products (:mod:`compbench_jax.models.equivariant.backend`).
        prior: a potential of the same elements and cutoff whose interaction energies and forces are added to the
            network's. Its parameters are ``params["prior"]``.
        remat: derivatives recompute the layers of the network (:mod:`compbench_jax.models.remat`).
    """

    module: nn.Module
    normalisation: Normalisation
    cutoff: float
    direct: bool = False
    bonded: bool = False
    triplets: bool = False
    long_range: bool = False
    precision: str = "float32"
    backend: str = "auto"
    remat: bool = False
    prior: "Potential | None" = None

    @property
    def needs_bonds(self) -> bool:
        """Whether batches need the molecules' bonds, for the network or the prior."""
        return self.bonded or (self.prior is not None and self.prior.needs_bonds)

    def init(self, rng: jax.Array, graph: jraph.GraphsTuple) -> Params:
        """Parameters of the network for graphs like this one."""
        with computed_by(self.backend):
            return self.module.init(rng, *self._inputs(graph, graph.nodes["positions"]))

    def node_energies(self, params: Params, graph: jraph.GraphsTuple, positions: jax.Array | None = None) -> jax.Array:
        """Interaction energy of every node, eV ``[n_node]`` (meaningless on padding nodes, but finite)."""
        positions = graph.nodes["positions"] if positions is None else positions
        energies = self._node_energies(params, graph, positions)
        if self.prior is None:
            return energies
        return energies + self.prior.node_energies({"params": params[PRIOR]}, graph, positions)

    def for_inference(self, params: Params) -> Params:
        """The parameters for energies and forces of many structures.

        On a CPU those of a network that says so (``tabulates``) come with tables of its radial functions
        (:mod:`compbench_jax.models.layers.radial_table`): forces within 1e-6 eV/Å in less time.
        """
        pays = getattr(self.module, "tabulates", False) and self.precision != "bfloat16"
        if not pays or jax.default_backend() != "cpu":
            return params
        return tabulated(self.module, params, self.cutoff)

    def energy(self, params: Params, graph: jraph.GraphsTuple) -> jax.Array:
        """Interaction energy of every graph, eV ``[n_graph]``."""
        return _sum_by_graph(self.node_energies(params, graph), graph)

    def energy_and_forces(self, params: Params, graph: jraph.GraphsTuple) -> tuple[jax.Array, jax.Array]:
        """Interaction energies, eV ``[n_graph]``, and forces, eV/Å ``[n_node, 3]``.

        The forces are F = −∇E, or the network's own where it predicts them (``direct``), and those of the prior.
        """
        energies, forces = self._energy_and_forces(params, graph)
        if self.prior is None:
            return energies, forces
        more, extra = self.prior.energy_and_forces({"params": params[PRIOR]}, graph)
        return energies + more, forces + extra

    def _node_energies(self, params: Params, graph: jraph.GraphsTuple, positions: jax.Array) -> jax.Array:
        """Those of the network, eV ``[n_node]``."""
        answer = self._apply(params, graph, positions)
        return self.normalisation.scale * (answer[0] if self.direct else answer)

    def _energy_and_forces(self, params: Params, graph: jraph.GraphsTuple) -> tuple[jax.Array, jax.Array]:
        """Those of the network."""
        if self.direct:
            energies, forces = self._apply(params, graph, graph.nodes["positions"])
            scale = self.normalisation.scale
            return _sum_by_graph(scale * energies, graph), scale * forces

        def total(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
            energies = self._node_energies(params, graph, positions)
            return energies.sum(), energies

        gradient, energies = jax.grad(total, has_aux=True)(graph.nodes["positions"])
        return _sum_by_graph(energies, graph), -gradient

    def _apply(self, params: Params, graph: jraph.GraphsTuple, positions: jax.Array) -> Any:
        """What the network answers, in its own units."""
        with arithmetic(self.precision), computed_by(self.backend), remembering_layers_only(self.remat):
            return self.module.apply(params, *self._inputs(graph, positions))

    def _inputs(self, graph: jraph.GraphsTuple, positions: jax.Array) -> tuple[Any, ...]:
        """Arguments of the network."""
        bonds = (bonds_of(graph, positions),) if self.bonded else ()
        whole = (molecules_of(graph, positions),) if self.long_range else ()
        return _vectors(graph, positions), *_topology(graph), *bonds, *whole


def bonds_of(graph: jraph.GraphsTuple, positions: jax.Array) -> Bonds:
    """Bonds of a batch at these positions (Å)."""
    neighbours = jnp.asarray(graph.nodes["neighbours"])
    positions = jnp.asarray(positions)
    return Bonds(neighbours, positions[neighbours] - positions[:, None], jnp.asarray(graph.nodes["keys"]))


def molecules_of(graph: jraph.GraphsTuple, positions: jax.Array) -> Molecules:
    """Which nodes of a batch belong together, at these positions (Å)."""
    return Molecules(jnp.asarray(positions), _owners(graph, positions.shape[0]), jnp.asarray(graph.n_node))


def _vectors(graph: jraph.GraphsTuple, positions: jax.Array) -> jax.Array:
    return positions[graph.receivers] - positions[graph.senders]


def _topology(graph: jraph.GraphsTuple) -> tuple[jax.Array, ...]:
    topology = (graph.nodes["species"], graph.senders, graph.receivers)
    return topology if graph.edges is None else (*topology, graph.edges["triplets"])


def _sum_by_graph(values: jax.Array, graph: jraph.GraphsTuple) -> jax.Array:
    """Sum node values ``[n_node]`` over the nodes of each graph ``[n_graph]``."""
    index = _owners(graph, values.shape[0])
    return jax.ops.segment_sum(values, index, graph.n_node.shape[0], indices_are_sorted=True)


def _owners(graph: jraph.GraphsTuple, n_node: int) -> jax.Array:
    """Graph of each node, ``[n_node]``."""
    return jnp.repeat(jnp.arange(graph.n_node.shape[0]), graph.n_node, total_repeat_length=n_node)
