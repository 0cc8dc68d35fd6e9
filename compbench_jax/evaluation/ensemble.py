"""Evaluation of a run that trained several potentials together: each, mean, standard deviation and ensemble."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import numpy as np

from compbench_jax.evaluation.blocks import rounded
from compbench_jax.evaluation.derived import Derived, comparison
from compbench_jax.evaluation.evaluate import TEST_PARTS, Evaluation
from compbench_jax.evaluation.saved import ensemble_uncertainty
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.potential import Params, Potential
from compbench_jax.store.store import FrameStore
from compbench_jax.training.checkpoint import LoadedRun, running
from compbench_jax.training.loss import Graphs

ENSEMBLE = "ensemble"
MEMBERS = "members"
"""Folder of the results of each member and of the ensemble."""

PARTS = ("id", "ood", "ratio")


@dataclass(frozen=True)
class Ensemble(Potential):
    """The mean of potentials that differ in their parameters only, which have a leading axis of members."""

    def energy_and_forces(self, params: Params, graph: Graphs) -> tuple[jax.Array, jax.Array]:
        """Mean energies, eV ``[n_graph]``, and forces, eV/Å ``[n_node, 3]``; these are the gradient of those."""
        one = super().energy_and_forces
        energies, forces = jax.vmap(one, in_axes=(0, None))(params, graph)
        return energies.mean(axis=0), forces.mean(axis=0)


def ensemble_of(members: Sequence[LoadedRun]) -> LoadedRun:
    """The ensemble of these members as one run to evaluate; its step is that of the member trained longest."""
    first = members[0]
    potential = Ensemble(**{f.name: getattr(first.potential, f.name) for f in fields(first.potential)})
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *(member.params for member in members))
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

    Where the members have several learning rates, that of the chosen member is taken: mean, standard deviation and
    ensemble are over the seeds that were trained with it, without members that stopped.

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
    copies = [evaluations[str(member.member)] for member in alike]
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
        "metrics": summary([item.results for item in copies], evaluations[ENSEMBLE].results),
    }
    if len(copies) > 1:
        predictions = {part: [item.predictions[part] for item in copies] for part in TEST_PARTS}
        block["uncertainty"] = ensemble_uncertainty(predictions, copies[0].frames, store, settings)
    own = evaluations[str(best.member)]
    return replace(own, results=own.results.replaced(members=block)), evaluations


def summary(results: Sequence[Derived], ensemble: Derived) -> dict[str, Any]:
    """Values, mean, standard deviation and the ensemble's value of each metric of ID, OOD and their ratio.

    The standard deviation is over members (n − 1 in the denominator; null for one member). The interval of
    the mean is over molecules and members; the mean of a ratio is over ratios, its interval that of the ratio of means.
    """
    sets = comparison(*(np.stack([item.sums(part) for item in results]) for part in TEST_PARTS))
    return {
        part: {
            metric: {
                "values": (values := [item[part][metric]["value"] for item in results]),
                "mean": rounded(mean_of(values)),
                "low": rounded((estimate := getattr(sets, part).estimate(metric)).low),
                "high": rounded(estimate.high),
                "spread": rounded(standard_deviation(values)),
                ENSEMBLE: ensemble[part][metric]["value"],
            }
            for metric, block in results[0][part].items()
            if isinstance(block, Mapping) and "value" in block
        }
        for part in PARTS
    }


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean; None if a value is not defined."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def standard_deviation(values: Sequence[float | None]) -> float | None:
    """Standard deviation of a sample; None for fewer than two values, or if one is not defined."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 and len(known) == len(values) else None
