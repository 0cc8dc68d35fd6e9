"""Intervals of metrics: a jackknife over molecules, a component of variance for seeds, and Student's t.

Frames of one molecule are correlated, so molecules are the units. Leaving out one molecule at a time says how much each
moves a metric (Efron & Tibshirani 1993, chapter 11); the squares of these influences add up to the variance that the
choice of molecules brings. Runs that differ in their seed bring their own: the variance of their mean, less the part
that is already in the molecules (crossed random effects, Searle, Casella & McCulloch 1992, chapter 4). The degrees of
freedom are Satterthwaite's (Biometrics Bulletin 2, 110, 1946), at most ``MOST_FREEDOM`` for each seed but the first of
the smallest group. Nothing is drawn: the same sums give the same interval. ``benchmarks/coverage.py`` measures how
often it holds the truth.

One run says nothing about other seeds: its interval is over molecules only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit
from scipy.stats import t

from compbench_jax.errors import RunError

LEVEL = 0.95
"""Coverage that every interval aims at."""

FEWEST = 4
"""Molecules below which there is no interval."""

MOST_FREEDOM, MOST_OF_DIFFERENCES = 6, 4
"""Most degrees of freedom for each seed beyond the first, of values and of differences of two models. Two seeds that
agree by chance look like two that always agree: Satterthwaite's formula then promises more than two seeds know. Both
numbers are the ones that ``benchmarks/coverage.py`` asks for.
"""

Metrics = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""From sums ``[..., n_columns]`` to metrics by name, each ``[...]``; NaN where a metric is not defined."""

Key = tuple[str, str]
"""Name of a set of molecules, and of a group of runs."""

Terms = Sequence[tuple[np.ndarray, "Measured"]]
"""Coefficients ``[n_metrics]`` and what they multiply."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95% interval; None where it is not defined (the interval: fewer than four molecules)."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Measured:
    """Metrics, and how much every molecule and every run moves them (to first order).

    Attributes:
        values: of each metric; of several runs the mean over the runs.
        molecules: influence of each molecule on each run, ``[n_runs, n_molecules, n_metrics]``, by the names of the
            set of molecules and of the group of runs. Equal names are the same molecules, or the same runs.
        runs: deviation of each run from the mean of its group, ``[n_runs, n_metrics]``, by the name of the group.
        n_molecules: of the smallest set.
        scores: metrics that are better the larger they are and at most 1, and their smallest value; others are errors.
        signed: differences, which may have either sign.
        freedom: most degrees of freedom for each seed beyond the first.
    """

    values: dict[str, float]
    molecules: dict[Key, np.ndarray]
    runs: dict[str, np.ndarray]
    n_molecules: int
    scores: Mapping[str, float]
    signed: bool = False
    freedom: int = MOST_FREEDOM

    @property
    def array(self) -> np.ndarray:
        """The values, ``[n_metrics]``."""
        return np.array(list(self.values.values()), np.float64)

    def standard_error(self, name: str) -> tuple[float, float, float]:
        """Standard error of a metric, its degrees of freedom, and the share of the seeds in the variance.

        NaN where leaving out a molecule leaves nothing to measure.
        """
        k = list(self.values).index(name)
        of_sets: dict[str, np.ndarray] = {}
        shared: dict[str, float] = {}
        for (molecules, group), influence in self.molecules.items():
            own = influence[..., k]
            mean = own.mean(axis=0)
            of_sets[molecules] = of_sets.get(molecules, 0.0) + mean
            # What molecules do to one run and not to the others shows in the variance of the runs, too.
            shared[group] = shared.get(group, 0.0) + float(((own - mean) ** 2).sum())
        parts = [(float((moved**2).sum()), len(moved) - 1) for moved in of_sets.values()]
        over_molecules, over_seeds, most = sum(part for part, _ in parts), 0.0, np.inf
        for group, deviations in self.runs.items():
            n = len(deviations)
            if n > 1:
                part = (float((deviations[:, k] ** 2).sum()) - shared[group]) / (n * (n - 1))
                over_seeds += max(part, 0.0)
                most = min(most, self.freedom * (n - 1))
                parts.append((max(part, 0.0), n - 1))
        variance = over_molecules + over_seeds
        if not variance > 0:
            return float(np.sqrt(variance)), float(min(df for _, df in parts)), 0.0
        df = variance**2 / sum(part**2 / df for part, df in parts)
        return float(np.sqrt(variance)), min(df, most), over_seeds / variance

    def estimate(self, name: str) -> Estimate:
        """One metric with its interval.

        Differences have value ± t · standard error. Errors have it on the scale of a power: the logarithm, since those
        of molecules are skewed, and the nearer to the plain scale the more of the variance is that of the seeds.
        Scores x are taken as errors 1 − x.
        """
        value = self.values[name]
        if not np.isfinite(value):
            return Estimate(None)
        if self.n_molecules < FEWEST:
            return Estimate(float(value))
        error, df, share = self.standard_error(name)
        if not np.isfinite(error):
            return Estimate(float(value))
        half = float(stdtrit(df, (1 + LEVEL) / 2)) * error
        centre = 1 - value if name in self.scores else value
        if self.signed or centre <= 0:
            low, high = centre - half, centre + half
        else:
            low, high = centre * _power(-half / centre, share), centre * _power(half / centre, share)
        if name in self.scores:
            low, high = max(1 - high, self.scores[name]), 1 - low
        return Estimate(float(value), float(low), float(high))

    def estimates(self) -> dict[str, Estimate]:
        """All metrics with their intervals."""
        return {name: self.estimate(name) for name in self.values}

    def p(self, name: str) -> float | None:
        """Two-sided p value of a difference being zero, of the statistic that its interval is made of; None where there
        is no interval.
        """
        found = self.estimate(name)
        if found.value is None or found.low is None:
            return None
        error, df, _ = self.standard_error(name)
        if error == 0:
            return 1.0 if found.value == 0 else 0.0
        return float(2 * t.sf(abs(found.value) / error, df))

    def differs(self, name: str) -> bool:
        """The one rule for a significant difference: its p value is below 0.05, so its 95% interval leaves out zero."""
        p = self.p(name)
        return p is not None and p < 1 - LEVEL


def _power(step: float, share: float) -> float:
    """1 + step on the scale of a power: exp(step) for share 0, 1 + step for 1, never below zero."""
    return float(np.exp(step)) if share < 1e-9 else max(1 + share * step, 0.0) ** (1 / share)


def measure(
    sums: np.ndarray,
    metrics: Metrics,
    scores: Mapping[str, float],
    molecules: str,
    runs: str = "runs",
    present: np.ndarray | None = None,
) -> Measured:
    """Metrics of molecule sums with all that moves them.

    Args:
        sums: ``[n_molecules, n_columns]``, or ``[n_runs, n_molecules, n_columns]`` of runs that differ in their seed:
            a metric is then the mean over the runs.
        metrics: from sums to metrics.
        scores: see :class:`Measured`.
        molecules: name of the set of molecules.
        runs: name of the group of runs.
        present: which molecules each run has, bool ``[n_runs, n_molecules]``, where they have different ones.
    """
    sums = np.asarray(sums, np.float64)
    sums = sums[None] if sums.ndim == 2 else sums
    present = np.ones(sums.shape[:2], bool) if present is None else present
    total = sums.sum(axis=1)
    of_runs = metrics(total)
    without = np.stack(list(metrics(total[:, None] - sums).values()), axis=-1)
    found = from_replicates(np.stack(list(of_runs.values()), axis=-1), without, present, list(of_runs))
    return replace(
        found, molecules={(molecules, runs): found.molecules["", ""]}, runs={runs: found.runs[""]}, scores=scores
    )


def from_replicates(
    values: np.ndarray,
    without: np.ndarray,
    present: np.ndarray,
    names: Sequence[str],
    scores: Mapping[str, float] | None = None,
) -> Measured:
    """Metrics of any kind from their values with one molecule left out at a time.

    Args:
        values: ``[n_runs, n_metrics]``.
        without: the same without each molecule, ``[n_runs, n_molecules, n_metrics]``.
        present: see :func:`measure`.
        names: of the metrics.
        scores: see :class:`Measured`.
    """
    here = present[..., None]
    n = np.maximum(here.sum(axis=1, keepdims=True), 1)
    centre = np.where(here, without, 0.0).sum(axis=1, keepdims=True) / n
    mean = values.mean(axis=0)
    with np.errstate(invalid="ignore"):  # what is not finite has no interval
        influence = np.where(here, np.sqrt((n - 1) / n) * (centre - without), 0.0)
        deviations = values - mean
    return Measured(
        dict(zip(names, map(float, mean), strict=True)),
        {("", ""): influence},
        {"": deviations},
        int(present.sum(axis=1).min()),
        scores or {},
    )


def combined(values: np.ndarray, terms: Terms, signed: bool = False) -> Measured:
    """What depends on several measured numbers.

    Args:
        values: of the metrics of the first term, ``[n_metrics]``.
        terms: derivatives by the numbers, and the numbers.
        signed: see :class:`Measured`.
    """
    molecules: dict[Key, np.ndarray] = {}
    runs: dict[str, np.ndarray] = {}
    for factor, item in terms:
        for key, influence in item.molecules.items():
            molecules[key] = molecules.get(key, 0.0) + factor * influence
        for group, deviations in item.runs.items():
            runs[group] = runs.get(group, 0.0) + factor * deviations
    names = terms[0][1].values
    fewest = min(item.n_molecules for _, item in terms)
    return Measured(dict(zip(names, map(float, values), strict=True)), molecules, runs, fewest, {}, signed)


def as_errors(item: Measured) -> Measured:
    """The same with 1 − x in place of scores x."""
    score = np.array([name in item.scores for name in item.values])
    return combined(np.where(score, 1 - item.array, item.array), [(np.where(score, -1.0, 1.0), item)])


def ratio(upper: Measured, lower: Measured) -> Measured:
    """Quotient of every metric; of scores x that of 1 − x, so that above 1 always means worse."""
    above, below = as_errors(upper), as_errors(lower)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = above.array / below.array
        return combined(values, [(1 / below.array, above), (-values / below.array, below)])


def difference(b: Measured, a: Measured) -> Measured:
    """B − A of every metric: paired, where the molecules are the same."""
    ones = np.ones(len(a.values))
    return replace(combined(b.array - a.array, [(ones, b), (-ones, a)], signed=True), freedom=MOST_OF_DIFFERENCES)


@dataclass(frozen=True, eq=False)
class Comparison:
    """ID, OOD and their ratio."""

    id: Measured
    ood: Measured
    ratio: Measured


def compare_sets(
    id_sums: np.ndarray, ood_sums: np.ndarray, metrics: Metrics, scores: Mapping[str, float] | None = None
) -> Comparison:
    """ID and OOD metrics and their ratios; the molecules of the two are independent, the runs the same.

    Args:
        id_sums: see :func:`measure`.
        ood_sums: likewise. The ratio of several runs is that of the means.
        metrics: from sums to metrics.
        scores: see :class:`Measured`.
    """
    id, ood = (measure(sums, metrics, scores or {}, part) for sums, part in ((id_sums, "id"), (ood_sums, "ood")))
    return Comparison(id, ood, ratio(ood, id))


def paired_difference(a: Comparison, b: Comparison) -> Comparison:
    """B − A of every metric of ID, OOD and ratio, for two models evaluated on the same frames.

    What the molecules do to both cancels; the seeds of the two are independent. Both must have the same molecules in
    the same order.

    Raises:
        RunError: they have different numbers of molecules.
    """
    for part in ("id", "ood"):
        left, right = getattr(a, part).n_molecules, getattr(b, part).n_molecules
        if left != right:
            raise RunError(
                f"the runs cannot be paired: {left} and {right} {part.upper()} molecules; compare runs of the same "
                "task on the same data"
            )
    parts = ((_of_model(getattr(b, part), "b"), _of_model(getattr(a, part), "a")) for part in ("id", "ood", "ratio"))
    return Comparison(*(difference(*pair) for pair in parts))


def _of_model(item: Measured, model: str) -> Measured:
    """The same with the runs of a model of its own."""
    return replace(
        item,
        molecules={(molecules, model + runs): value for (molecules, runs), value in item.molecules.items()},
        runs={model + runs: value for runs, value in item.runs.items()},
    )
