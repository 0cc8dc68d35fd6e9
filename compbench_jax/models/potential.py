"""A potential: a network that gives each atom an energy, and what turns it into energies and forces in eV and Å."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import jraph

Params = Any


@dataclass(frozen=True)
class Normalisation:
    """Constants fitted on the training frames only.

    Attributes:
        elements: atomic numbers the potential knows, ascending; ``species`` of a graph index into it.
        reference_energies: eV an atom of each element (least squares on train); taken out of every target.
        scale: eV; root mean square of the training force components (eV/Å), multiplies the network's output.
        average_neighbours: mean number of neighbours of an atom within the cutoff.
    """

    elements: tuple[int, ...]
    reference_energies: tuple[float, ...]
    scale: float
    average_neighbours: float


@dataclass(frozen=True)
class Potential:
    """Energies and forces of padded graph batches.

    The network is a flax module called as ``module(vectors [n_edge, 3] Å, species [n_node], senders [n_edge],
    receivers [n_edge]) -> node energies [n_node]`` in units of ``normalisation.scale``. Edge vectors point from sender
    to receiver, edges are sorted by receiver; a padding edge has length zero and joins padding nodes only.

    Energies here are *interaction* energies, eV: total energy minus the reference energies of the atoms, which are
    added on the host in float64 (float32 cannot hold thousands of eV to a meV).
    """

    module: nn.Module
    normalisation: Normalisation
    cutoff: float

    def init(self, rng: jax.Array, graph: jraph.GraphsTuple) -> Params:
        """Parameters of the network for graphs like this one."""
        return self.module.init(rng, _vectors(graph, graph.nodes["positions"]), *_topology(graph))

    def node_energies(self, params: Params, graph: jraph.GraphsTuple, positions: jax.Array | None = None) -> jax.Array:
        """Interaction energy of every node, eV ``[n_node]`` (meaningless on padding nodes, but finite)."""
        positions = graph.nodes["positions"] if positions is None else positions
        energies: Any = self.module.apply(params, _vectors(graph, positions), *_topology(graph))
        return self.normalisation.scale * energies

    def energy(self, params: Params, graph: jraph.GraphsTuple) -> jax.Array:
        """Interaction energy of every graph, eV ``[n_graph]``."""
        return _sum_by_graph(self.node_energies(params, graph), graph)

    def energy_and_forces(self, params: Params, graph: jraph.GraphsTuple) -> tuple[jax.Array, jax.Array]:
        """Interaction energies, eV ``[n_graph]``, and forces F = −∇E, eV/Å ``[n_node, 3]``."""

        def total(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
            energies = self.node_energies(params, graph, positions)
            return energies.sum(), energies

        gradient, energies = jax.grad(total, has_aux=True)(graph.nodes["positions"])
        return _sum_by_graph(energies, graph), -gradient


def _vectors(graph: jraph.GraphsTuple, positions: jax.Array) -> jax.Array:
    return positions[graph.receivers] - positions[graph.senders]


def _topology(graph: jraph.GraphsTuple) -> tuple[jax.Array, jax.Array, jax.Array]:
    return graph.nodes["species"], graph.senders, graph.receivers


def _sum_by_graph(values: jax.Array, graph: jraph.GraphsTuple) -> jax.Array:
    """Sum node values ``[n_node]`` over the nodes of each graph ``[n_graph]``."""
    n_graph = graph.n_node.shape[0]
    index = jnp.repeat(jnp.arange(n_graph), graph.n_node, total_repeat_length=values.shape[0])
    return jax.ops.segment_sum(values, index, n_graph, indices_are_sorted=True)
