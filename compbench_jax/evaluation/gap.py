"""The compositional gap: what of an OOD error is neither size nor the price of any unseen molecule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.bootstrap import Metrics, Resampled, draw_counts, generator

STREAMS = {"task": 2, "control": 6, "oracle": 7}
"""Random streams of the draws of runs."""

CONTROL_MOLECULES = 5
"""Random stream of the draws of a control's molecules."""


@dataclass(frozen=True, eq=False)
class Gap:
    """Errors on the three OOD sets and the compositional gap, resampled together.

    Attributes:
        task: OOD errors of the runs trained on the task.
        control: on the OOD molecules of the random control.
        oracle: on unseen frames of the task's OOD molecules, of runs that were trained on these molecules.
        gap: (task − control) / oracle.
        unseen: task / oracle.
    """

    task: Resampled
    control: Resampled
    oracle: Resampled
    gap: Resampled
    unseen: Resampled


def compositional_gap(
    task: np.ndarray,
    controls: Sequence[np.ndarray],
    oracle: np.ndarray,
    metrics: Metrics,
    complements: frozenset[str] = frozenset(),
    *,
    samples: int = 1000,
    seed: int = 0,
) -> Gap:
    """The gap g = (E_task − E_control) / E_oracle of every metric, with what its interval needs.

    With one model, its settings and its number of steps the same in all three:

    - E_task is its error on the task's OOD test;
    - E_control its OOD error after training on ``control_random``: the same molecules dealt to the two sides at random,
      as many to each, so that E_control is the price of *any* unseen molecule at this size of training set;
    - E_oracle its error on the task's OOD molecules (their secondary frames) after training on their primary frames
      too: the error to be had on them once they are known.

    So g counts, in units of the error on known molecules, what the *system* in the split costs: 0 if a compositional
    split is no harder than a random one, 1 if it adds as much as the whole oracle's error; below 0 if it is easier. The
    control's OOD molecules are others than the task's: a control that holds out harder molecules by chance makes g
    smaller, so several deals may be given. E_task / E_oracle needs no control: it is the price of not having seen just
    these molecules, however hard they are, 1 if there is none. Of metrics that are better the larger they are
    (``complements``) E is 1 − x.

    Intervals are a bootstrap over molecules, then runs. Task and oracle have the same molecules, which are drawn
    together, so that what makes them hard cancels; the molecules of each control and the runs of each of the three are
    drawn by themselves.

    Args:
        task: molecule sums ``[n_runs, n_molecules, n_columns]`` of runs that differ in their seed.
        controls: of each run on the control ``[n_molecules, n_columns]``; deals may differ.
        oracle: as ``task``, the same molecules in the same order; the number of runs may differ.
        metrics: from sums to metrics.
        complements: see above.
        samples: bootstrap draws.
        seed: of the draws.

    Raises:
        RunError: task and oracle have different numbers of molecules.
    """
    if task.shape[1] != oracle.shape[1]:
        raise RunError(f"task and oracle have {task.shape[1]} and {oracle.shape[1]} OOD molecules: give the task's own")
    shared = draw_counts(task.shape[1], samples, generator(seed, 1))
    rng = generator(seed, CONTROL_MOLECULES)
    sets = {
        "task": _errors(list(task), [shared] * len(task), metrics, complements, seed, "task"),
        "oracle": _errors(list(oracle), [shared] * len(oracle), metrics, complements, seed, "oracle"),
        "control": _errors(
            list(controls),
            [draw_counts(len(item), samples, rng) for item in controls],
            metrics,
            complements,
            seed,
            "control",
        ),
    }
    values = {key: item.values for key, item in sets.items()}
    draws = {key: item.draws for key, item in sets.items()}
    fewest = min(item.n_molecules for item in sets.values())
    with np.errstate(divide="ignore", invalid="ignore"):
        gap, unseen = (
            Resampled(
                {name: float(combine(values, name)) for name in sets["task"].values},
                {name: np.asarray(combine(draws, name)) for name in sets["task"].values},
                fewest,
            )
            for combine in (
                lambda of, name: np.subtract(of["task"][name], of["control"][name]) / of["oracle"][name],
                lambda of, name: np.divide(of["task"][name], of["oracle"][name]),
            )
        )
    return Gap(sets["task"], sets["control"], sets["oracle"], gap, unseen)


def _errors(
    runs: Sequence[np.ndarray],
    counts: Sequence[np.ndarray],
    metrics: Metrics,
    complements: frozenset[str],
    seed: int,
    role: str,
) -> Resampled:
    """Mean over runs of every metric as an error, each run resampled by its counts, then the runs."""

    def errors(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {name: 1 - value if name in complements else value for name, value in metrics(sums).items()}

    weights = draw_counts(len(runs), len(counts[0]), generator(seed, STREAMS[role])) / len(runs)
    of_sets = [errors(run.sum(axis=0)) for run in runs]
    of_draws = [errors(drawn @ run) for run, drawn in zip(runs, counts, strict=True)]
    names = of_sets[0]
    return Resampled(
        {name: float(np.mean([item[name] for item in of_sets])) for name in names},
        {name: np.sum([w * item[name] for w, item in zip(weights.T, of_draws, strict=True)], axis=0) for name in names},
        min(len(run) for run in runs),
    )
