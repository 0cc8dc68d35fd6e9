"""Evaluation of a run that trained several potentials together: each, and their ensemble."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import jax
import numpy as np

from compbench_jax.evaluation.evaluate import TEST_PARTS, Evaluation
from compbench_jax.evaluation.saved import ensemble_uncertainty
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.potential import Params, Potential
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun, running
from compbench_jax.training.loss import Graphs

ENSEMBLE = "ensemble"
MEMBERS = "members"
"""Folder of the results of each member and of the ensemble."""


@dataclass(frozen=True)
class Ensemble(Potential):
    """The mean of potentials that differ in their parameters only, which have a leading axis of members."""

    def for_inference(self, params: Params) -> Params:
        """The parameters: those of members have their tables already."""
        return params

    def energy_and_forces(self, params: Params, graph: Graphs) -> tuple[jax.Array, jax.Array]:
        """Mean energies, eV ``[n_graph]``, and forces, eV/Å ``[n_node, 3]``; these are the gradient of those."""
        one = super().energy_and_forces
        energies, forces = jax.vmap(one, in_axes=(0, None))(params, graph)
        return energies.mean(axis=0), forces.mean(axis=0)


def ensemble_of(members: Sequence[LoadedRun]) -> LoadedRun:
    """The ensemble of these members as one run to evaluate; its step is that of the member trained longest."""
    first = members[0]
    potential = Ensemble(**{f.name: getattr(first.potential, f.name) for f in fields(first.potential)})
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *(member.fast_params for member in members))
    return replace(first, potential=potential, params=params, step=max(member.step for member in members))


def chosen(members: Sequence[LoadedRun]) -> LoadedRun:
    """The member with the lowest validation loss, of those that did not stop: tuning frames choose, test frames never
    do.
    """
    return min(running(members), key=lambda member: member.validation_loss)


def evaluate_members(
    members: Sequence[LoadedRun],
    evaluate: Callable[[LoadedRun], Evaluation],
    store: FrameStore,
    settings: Settings,
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """Evaluate members and their ensemble.

    Where the members have several learning rates, that of the chosen member is taken: the ensemble is over the seeds
    that were trained with it, without members that stopped.

    Args:
        members: all of a run.
        evaluate: the evaluation of one of them.
        store: where the labels are.
        settings: bootstrap of the intervals.

    Returns:
        the evaluation of the chosen member, its results with a block ``"members"`` more; and all evaluations by name,
        the number of a member or ``"ensemble"``.
    """
    best = chosen(members)
    alike = [member for member in running(members) if member.learning_rate == best.learning_rate]
    evaluations = {str(member.member): evaluate(member) for member in alike}
    evaluations[ENSEMBLE] = evaluate(ensemble_of(alike))
    block = {
        "chosen": best.member,
        "chosen_by": "the lowest validation loss (tuning frames)",
        "learning_rate": best.learning_rate,
        "trained": [
            {
                "member": member.member,
                "seed": member.seed,
                "learning_rate": member.learning_rate,
                "validation_loss": member.validation_loss,
                "step": member.step,
                "stopped": member.stopped or None,
            }
            for member in members
        ],
    }
    if len(alike) > 1:
        own = [evaluations[str(member.member)] for member in alike]
        predictions = {part: [item.predictions[part] for item in own] for part in TEST_PARTS}
        block["uncertainty"] = ensemble_uncertainty(predictions, own[0].frames, store, settings)
    best_of = evaluations[str(best.member)]
    return replace(best_of, results=best_of.results.replaced(members=block)), evaluations
