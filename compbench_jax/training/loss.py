"""The benchmark's losses: energy MAE a molecule and force l2-MAE an atom, as sums and counts over real atoms only."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compbench_jax.models.safe import safe_divide, safe_norm
from compbench_jax.training.configuration import LossSettings

Graphs = Any
"""A padded batch, see :class:`compbench_jax.batching.dataset.GraphDataset`."""


class LossSums(NamedTuple):
    """Sums and counts over any number of batches, scalars; means are taken once, at the end.

    Attributes:
        energy: sum over molecules of |Ê − E|, eV.
        force: sum over atoms of ‖F̂ − F‖, eV/Å.
        graphs: number of molecules (frames).
        atoms: number of atoms.
    """

    energy: jax.Array
    force: jax.Array
    graphs: jax.Array
    atoms: jax.Array

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
        """Weighted sum of the two means: w_E · energy MAE + w_F · force l2-MAE."""
        return settings.energy_weight * self.energy_mae() + settings.force_weight * self.force_mae()


def loss_sums(energy: jax.Array, forces: jax.Array, graph: Graphs) -> LossSums:
    """Sums of one padded batch; padding molecules and atoms count nothing.

    Args:
        energy: predicted interaction energies, eV ``[n_graph]``.
        forces: predicted forces, eV/Å ``[n_node, 3]``.
        graph: batch with targets ``globals["energy"]`` and ``nodes["forces"]``; ``globals["frame"]`` is −1 for padding.
    """
    real_graph = graph.globals["frame"] >= 0
    n_node = forces.shape[0]
    real_node = jnp.repeat(real_graph, graph.n_node, total_repeat_length=n_node)
    # The difference itself is masked, not only its norm: whatever stands at padding has derivative zero.
    energy_error = jnp.where(real_graph, energy - graph.globals["energy"], 0.0)
    force_error = jnp.where(real_node[:, None], forces - graph.nodes["forces"], 0.0)
    return LossSums(
        energy=jnp.abs(energy_error).sum(),
        force=safe_norm(force_error).sum(),
        graphs=real_graph.sum(dtype=float),
        atoms=real_node.sum(dtype=float),
    )
