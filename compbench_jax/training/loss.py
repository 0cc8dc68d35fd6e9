"""Losses as sums and counts over real molecules and atoms only: means are taken once, at the end."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compbench_jax.models.layers.safe import safe_divide, safe_norm
from compbench_jax.training.settings import LossSettings

Graphs = Any
"""A padded batch, see :class:`compbench_jax.batching.dataset.GraphDataset`."""

BENCHMARK = LossSettings()
"""The benchmark's: energy MAE per molecule and force l2-MAE."""


class LossSums(NamedTuple):
    """Sums and counts over any number of batches, scalars; means are taken once, at the end.

    Attributes:
        energy: sum over molecules of |Ê − E|, eV.
        force: sum over atoms of ‖F̂ − F‖, eV/Å.
        graphs: number of molecules (frames).
        atoms: number of atoms.
        energy_term: sum over molecules of the energy error that is minimised; ``energy`` for the benchmark's loss.
        force_term: sum over atoms of the force error that is minimised; ``force`` for the benchmark's loss.
    """

    energy: jax.Array
    force: jax.Array
    graphs: jax.Array
    atoms: jax.Array
    energy_term: jax.Array
    force_term: jax.Array

    @classmethod
    def zero(cls) -> "LossSums":
        """Sums over nothing."""
        return cls(*(jnp.zeros((), float) for _ in cls._fields))  # float64 in a run of that precision

    def __add__(self, other: tuple) -> "LossSums":  # type: ignore[override]
        """Sums over both sets of batches."""
        return LossSums(*(a + b for a, b in zip(self, other, strict=True)))

    def energy_mae(self) -> jax.Array:
        """Mean over molecules of |Ê − E|, eV."""
        return safe_divide(self.energy, self.graphs)

    def force_mae(self) -> jax.Array:
        """Mean over atoms of ‖F̂ − F‖, eV/Å (the l2-MAE, not the mean over components)."""
        return safe_divide(self.force, self.atoms)

    def loss(self, settings: LossSettings) -> jax.Array:
        """Weighted sum of the two means that are minimised: w_E · energy error + w_F · force error."""
        energy, force = safe_divide(self.energy_term, self.graphs), safe_divide(self.force_term, self.atoms)
        return settings.energy_weight * energy + settings.force_weight * force


def loss_sums(energy: jax.Array, forces: jax.Array, graph: Graphs, settings: LossSettings = BENCHMARK) -> LossSums:
    """Sums of one padded batch; padding molecules and atoms count nothing.

    Args:
        energy: predicted interaction energies, eV ``[n_graph]``.
        forces: predicted forces, eV/Å ``[n_node, 3]``.
        graph: batch with targets ``globals["energy"]`` and ``nodes["forces"]``; ``globals["frame"]`` is −1 for padding.
        settings: which errors are minimised.
    """
    real_graph, real_node = real_parts(graph)
    # The difference itself is masked, not only its norm: whatever stands at padding has derivative zero.
    energy_error = jnp.where(real_graph, energy - graph.globals["energy"], 0.0)
    force_error = jnp.where(real_node[:, None], forces - graph.nodes["forces"], 0.0)
    energy_sum, force_sum = jnp.abs(energy_error).sum(), safe_norm(force_error).sum()
    energy_term, force_term = energy_sum, force_sum
    if (settings.energy, settings.energy_per) != (BENCHMARK.energy, BENCHMARK.energy_per):
        size = jnp.maximum(graph.n_node, 1) if settings.energy_per == "atom" else 1
        energy_term = error_terms(energy_error / size, settings.energy, settings.huber_delta).sum()
    if settings.force != BENCHMARK.force:
        # The mean over the three components of an atom.
        force_term = error_terms(force_error, settings.force, settings.huber_delta).sum() / 3
    graphs, atoms = real_graph.sum(dtype=float), real_node.sum(dtype=float)
    return LossSums(energy_sum, force_sum, graphs, atoms, energy_term, force_term)


def real_parts(graph: Graphs) -> tuple[jax.Array, jax.Array]:
    """Which molecules ``[n_graph]`` and atoms ``[n_node]`` of a batch are not padding."""
    real_graph = graph.globals["frame"] >= 0
    n_node = graph.nodes["forces"].shape[0]
    return real_graph, jnp.repeat(real_graph, graph.n_node, total_repeat_length=n_node)


def error_terms(error: jax.Array, kind: str, delta: float) -> jax.Array:
    """|x| (mae), x² (mse), or x² up to ``delta`` and 2δ|x| − δ² above (huber: smooth, scaled to mse near zero)."""
    if kind == "mse":
        return jnp.square(error)
    if kind == "mae":
        return jnp.abs(error)
    size = jnp.abs(error)
    return jnp.where(size <= delta, jnp.square(error), delta * (2 * size - delta))
