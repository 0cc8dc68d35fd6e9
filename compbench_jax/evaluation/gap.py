"""The compositional gap: the part of an OOD error beyond that of any unseen molecule of the same size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.intervals import Measured, Metrics, as_errors, combined, measure, ratio


@dataclass(frozen=True, eq=False)
class Control:
    """A run on a random control.

    Attributes:
        molecules: InChIKeys of its OOD molecules.
        sums: their sums, ``[n_molecules, n_columns]``.
    """

    molecules: Sequence[str]
    sums: np.ndarray


@dataclass(frozen=True, eq=False)
class Gap:
    """Errors on the three OOD sets and the compositional gap.

    Attributes:
        task: OOD errors of the runs trained on the task.
        control: on the OOD molecules of the random control.
        oracle: on unseen frames of the task's OOD molecules, of runs that were trained on these molecules.
        gap: (task − control) / oracle.
        unseen: task / oracle.
    """

    task: Measured
    control: Measured
    oracle: Measured
    gap: Measured
    unseen: Measured


def compositional_gap(
    task: np.ndarray,
    controls: Sequence[Control],
    oracle: np.ndarray,
    metrics: Metrics,
    scores: Mapping[str, float] | None = None,
) -> Gap:
    """The gap g = (E_task − E_control) / E_oracle of every metric, with its interval.

    With one model, its settings and its number of steps the same in all three:

    - E_task is its error on the task's OOD test;
    - E_control its OOD error after training on ``control_random``: the same molecules split at random, as many on each
      side, so that E_control is the error on *any* unseen molecule at this size of training set;
    - E_oracle its error on the task's OOD molecules (their secondary frames) after training on their primary frames
      too: the error to be had on them once they are known.

    So g is, in units of the error on known molecules, the additional error of the *rule* in the split: 0 if a
    compositional split is no harder than a random one, 1 if it adds the oracle's error, below 0 if it is easier. The
    control's OOD molecules are others than the task's: a control that holds out harder molecules by chance makes g
    smaller, so several random splits may be given. E_task / E_oracle, the generalisation gap, needs no control: it does
    not depend on the intrinsic difficulty of the molecules, and is 1 without a gap. Of scores x (better the larger) E
    is 1 − x.

    Task and oracle have the same molecules, so that what makes them hard cancels. A molecule of a control counts once,
    however many runs hold it out: seeds of a run on the same split are no new molecules. The runs of the three are
    independent.

    Args:
        task: molecule sums ``[n_runs, n_molecules, n_columns]`` of runs that differ in their seed.
        controls: of each run on a control; random splits may differ.
        oracle: as ``task``, the same molecules in the same order; the number of runs may differ.
        metrics: from sums to metrics.
        scores: see :class:`compbench_jax.evaluation.intervals.Measured`.

    Raises:
        RunError: task and oracle have different numbers of molecules.
    """
    if task.shape[1] != oracle.shape[1]:
        raise RunError(f"task and oracle have {task.shape[1]} and {oracle.shape[1]} OOD molecules: give the task's own")
    place = {key: k for k, key in enumerate(dict.fromkeys(key for item in controls for key in item.molecules))}
    present = np.zeros((len(controls), len(place)), bool)
    held_out = np.zeros((*present.shape, task.shape[2]))
    for run, item in enumerate(controls):
        columns = [place[key] for key in item.molecules]
        present[run, columns], held_out[run, columns] = True, item.sums
    errors = {
        "task": as_errors(measure(task, metrics, scores or {}, "ood", "task")),
        "control": as_errors(measure(held_out, metrics, scores or {}, "control", "control", present)),
        "oracle": as_errors(measure(oracle, metrics, scores or {}, "ood", "oracle")),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / errors["oracle"].array
        value = (errors["task"].array - errors["control"].array) * inverse
        terms = [(inverse, errors["task"]), (-inverse, errors["control"]), (-value * inverse, errors["oracle"])]
        return Gap(**errors, gap=combined(value, terms, signed=True), unseen=ratio(errors["task"], errors["oracle"]))
