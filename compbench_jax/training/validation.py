"""Validation while training: the loss that chooses the best checkpoint, and force MAEs to watch."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.prefetch import prefetch
from compbench_jax.metrics.sums import COLUMNS, accumulate, empty_table, frame_sums
from compbench_jax.models.potential import Params, Potential
from compbench_jax.training.configuration import LossSettings
from compbench_jax.training.data import evaluation_batches
from compbench_jax.training.loss import Graphs

Evaluator = Callable[[Params, jax.Array, Graphs], jax.Array]


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
        """The training loss of these errors."""
        return settings.energy_weight * self.energy_mae + settings.force_weight * self.force_l2_mae


def make_evaluator(potential: Potential) -> Evaluator:
    """Compiled function that writes the sums of one batch into the table of all frames, on the device."""

    def evaluate(params: Params, table: jax.Array, graph: Graphs) -> jax.Array:
        sums = frame_sums(*potential.energy_and_forces(params, graph), graph)
        return accumulate(table, sums, graph.globals["frame"])

    return jax.jit(evaluate, donate_argnums=1)


def errors_on(evaluator: Evaluator, params: Params, dataset: GraphDataset) -> Errors:
    """Errors over a data set: sums on the device, one transfer and one division at the end."""
    table = empty_table(dataset.n_frames)
    for graph in prefetch(evaluation_batches(dataset)):
        table = evaluator(params, table, graph)
    host = np.asarray(jax.device_get(table), np.float64)
    sums = dict(zip(COLUMNS, host.sum(axis=0), strict=True))
    return Errors(
        energy_mae=float(np.abs(host[:, COLUMNS.index("energy_error")]).sum() / sums["frames"]),
        force_l2_mae=float(sums["l2_force"] / sums["atoms"]),
        force_mae=float(sums["abs_force"] / (3 * sums["atoms"])),
    )
