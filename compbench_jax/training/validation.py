"""Validation while training: the loss that chooses the best checkpoint, and force MAEs to watch."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.batching.dataset import BatchedFrames
from compbench_jax.batching.prefetch import prefetch
from compbench_jax.metrics.sums import COLUMNS, accumulate, empty_table, frame_sums
from compbench_jax.models.potential import Params, Potential
from compbench_jax.training.data import evaluation_batches
from compbench_jax.training.loss import Graphs
from compbench_jax.training.mesh import ALONE, MEMBERS, SHARES, TABLES, Layout
from compbench_jax.training.settings import LossSettings

Evaluator = Callable[[Params, jax.Array, Graphs], jax.Array]
"""``evaluator(params, table, graph) -> table``, see :func:`make_evaluator`."""


@dataclass(frozen=True)
class Errors:
    """Errors over a set of frames.

    Attributes:
        energy_mae: mean over frames of |Ê − E|, eV.
        force_l2_mae: mean over atoms of ‖F̂ − F‖, eV/Å.
        force_mae: mean over atoms and components of |F̂ − F|, eV/Å.
    """

    energy_mae: float
    force_l2_mae: float
    force_mae: float

    def loss(self, settings: LossSettings) -> float:
        """The benchmark's loss of these errors, at the weights of the training loss.

        It is the same measure whatever error is minimised, so that runs with different losses can be compared.
        """
        return settings.energy_weight * self.energy_mae + settings.force_weight * self.force_l2_mae


def make_evaluator(potential: Potential, layout: Layout = ALONE) -> Evaluator:
    """Compiled function that writes the sums of one batch a device into that device's table of all frames.

    Parameters have a leading axis of members ``[n_members]``, batches one of devices ``[n_batch]``, and tables both.
    """

    def of_member(params: Params, table: jax.Array, graph: Graphs) -> jax.Array:
        sums = frame_sums(*potential.energy_and_forces(params, graph), graph)
        return accumulate(table, sums, graph.globals["frame"])

    def evaluate(params: Params, table: jax.Array, graph: Graphs) -> jax.Array:
        table, graph = table[:, 0], jax.tree.map(lambda x: x[0], graph)
        if len(table) == 1:
            table = of_member(jax.tree.map(lambda x: x[0], params), table[0], graph)[None]
        else:
            table = jax.vmap(of_member, in_axes=(0, 0, None))(params, table, graph)
        return table[:, None]

    shared = layout.shared_out(evaluate, (MEMBERS, TABLES, SHARES), TABLES)
    return jax.jit(shared, donate_argnums=1)


def errors_on(
    evaluator: Evaluator, params: Params, dataset: BatchedFrames, n_members: int, layout: Layout = ALONE
) -> list[Errors]:
    """Errors of each member over a data set: sums on the devices, one transfer and one division at the end."""
    empty = empty_table(dataset.n_frames)
    table = layout.put(jnp.broadcast_to(empty, (n_members, layout.n_batch, *empty.shape)), TABLES)
    for graph in prefetch(evaluation_batches(dataset, layout)):
        table = evaluator(params, table, graph)
    return [errors_of(np.asarray(rows, np.float64)) for rows in layout.get(table).sum(axis=1)]


def errors_of(table: np.ndarray) -> Errors:
    """Errors from the table of per-frame sums, float64 ``[n_frames, n_columns]``."""
    sums = dict(zip(COLUMNS, table.sum(axis=0), strict=True))
    return Errors(
        energy_mae=float(np.abs(table[:, COLUMNS.index("energy_error")]).sum() / sums["frames"]),
        force_l2_mae=float(sums["l2_force"] / sums["atoms"]),
        force_mae=float(sums["abs_force"] / (3 * sums["atoms"])),
    )
