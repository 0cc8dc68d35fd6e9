"""Expanded percentile bootstrap over molecules, then over seeds (Efron & Tibshirani 1993, chapters 13 and 16).

The percentile interval of n units is too narrow by the factor sqrt((n − 1) / n), and takes quantiles of the normal
distribution where those of Student's t belong: of 7 molecules, a "95%" interval would hold the truth 86 times in 100.
So the quantiles are taken further out, as far as these two make a normal interval wider (Hesterberg 2015, Am. Stat. 69,
371, section 3.3).

Frames of one molecule are correlated, so molecules are what is resampled. Everything works on sums: a draw is
a vector of counts (how often each molecule was drawn), the sums of the resampled set are ``counts @ sums``,
and metrics are ratios of them. A thousand draws are one matrix product.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from compbench_jax.errors import RunError

LEVEL = 0.95
"""Coverage that every interval aims at."""

Metrics = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""From sums ``[..., n_columns]`` to metrics by name, each ``[...]``; NaN where a metric is not defined."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95% interval; None where it is not defined (the interval: fewer than two molecules)."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Resampled:
    """Metrics of a set of molecules and of its resampled copies.

    Attributes:
        values: each metric of the set itself.
        draws: the same metrics of the resampled sets, ``[samples]``.
        n_molecules: molecules that were resampled; below two there is no interval.
    """

    values: dict[str, float]
    draws: dict[str, np.ndarray]
    n_molecules: int

    def estimate(self, name: str) -> Estimate:
        """One metric with its interval. Draws in which it is undefined (0/0) are left out."""
        value = self.values[name]
        if not np.isfinite(value):
            return Estimate(None)
        draws = self.draws[name][np.isfinite(self.draws[name])]
        if self.n_molecules < 2 or not len(draws):
            return Estimate(float(value))
        tail = expanded_tail(self.n_molecules)
        low, high = np.quantile(draws, [tail, 1 - tail])
        return Estimate(float(value), float(low), float(high))

    def estimates(self) -> dict[str, Estimate]:
        """All metrics with their intervals."""
        return {name: self.estimate(name) for name in self.values}


def expanded_tail(n: int) -> float:
    """Share of the draws beyond either end of an interval over ``n`` units: below 2.5%, which it tends to."""
    return float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf((1 + LEVEL) / 2, n - 1)))


def generator(seed: int, stream: int) -> np.random.Generator:
    """An independent random stream for each set that is resampled on its own (0: ID, 1: OOD, 2: seeds, 3: seeds of a
    second model, 4: exchanges of a permutation test, 5: molecules of a control).
    """
    return np.random.default_rng([seed, stream])


def draw_counts(n: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of ``n`` units occurs in draws with replacement, float64 ``[samples, n]``."""
    if n == 0:
        return np.zeros((samples, 0))
    return rng.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)


def resample(
    sums: np.ndarray, metrics: Metrics, counts: np.ndarray, seed_counts: np.ndarray | None = None
) -> Resampled:
    """Metrics of molecule sums, and of the resampled sets.

    Args:
        sums: ``[n_molecules, n_columns]``, or ``[n_runs, n_molecules, n_columns]`` for runs that differ in
            their seed.
        metrics: from sums to metrics.
        counts: draws of molecules ``[samples, n_molecules]`` from :func:`draw_counts`.
        seed_counts: draws of runs ``[samples, n_runs]``; needed with more than one run. A metric of several
            runs is the mean over the runs, and a draw resamples molecules first and runs second.
    """
    runs = np.asarray(sums, np.float64)
    runs = runs[None] if runs.ndim == 2 else runs
    if seed_counts is None:
        if len(runs) != 1:
            raise ValueError(f"{len(runs)} runs need seed_counts")
        seed_counts = np.ones((len(counts), 1))
    weights = (seed_counts / len(runs)).T
    of_set = metrics(runs.sum(axis=1))
    of_draws = metrics(counts @ runs)
    return Resampled(
        values={name: float(np.mean(value)) for name, value in of_set.items()},
        draws={name: np.sum(weights * value, axis=0) for name, value in of_draws.items()},
        n_molecules=runs.shape[1],
    )


def ratio(ood: Resampled, id: Resampled, complements: frozenset[str] = frozenset()) -> Resampled:
    """The generalisation ratio OOD/ID of every metric, draw by draw (the two sets are resampled apart).

    Args:
        ood: the molecules never trained on.
        id: the trained ones.
        complements: metrics that are better the larger they are and at most 1 (cosines, shares): for them the
            ratio is that of 1 − x, so that above 1 always means worse on OOD.
    """

    def divide(name: str, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        if name in complements:
            upper, lower = 1 - upper, 1 - lower
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(upper / lower)

    names = [name for name in ood.values if name in id.values]
    return Resampled(
        values={n: float(divide(n, np.array(ood.values[n]), np.array(id.values[n]))) for n in names},
        draws={n: divide(n, ood.draws[n], id.draws[n]) for n in names},
        n_molecules=min(ood.n_molecules, id.n_molecules),
    )


def difference(b: Resampled, a: Resampled) -> Resampled:
    """B − A of every metric, draw by draw. A paired comparison if both came from the same draws."""
    names = [name for name in b.values if name in a.values]
    return Resampled(
        values={name: b.values[name] - a.values[name] for name in names},
        draws={name: b.draws[name] - a.draws[name] for name in names},
        n_molecules=min(a.n_molecules, b.n_molecules),
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """ID, OOD and their ratio, resampled together."""

    id: Resampled
    ood: Resampled
    ratio: Resampled


def compare_sets(
    id_sums: np.ndarray,
    ood_sums: np.ndarray,
    metrics: Metrics,
    complements: frozenset[str] = frozenset(),
    *,
    samples: int = 1000,
    seed: int = 0,
    seed_stream: int = 2,
) -> Comparison:
    """ID and OOD metrics and their ratios, ID and OOD molecules resampled independently.

    Args:
        id_sums: molecule sums ``[n_molecules, n_columns]`` of one run, or ``[n_runs, n_molecules,
            n_columns]`` of runs that differ in their seed: then molecules are resampled first and runs
            second, the same runs for ID and OOD, and a metric is the mean over runs (a ratio: the ratio of
            the means).
        ood_sums: likewise.
        metrics: from sums to metrics.
        complements: see :func:`ratio`.
        samples: bootstrap draws.
        seed: of the draws; equal seeds give equal draws of molecules, so that two models can be compared in
            pairs.
        seed_stream: random stream of the draws of runs: those of two models are drawn independently.
    """
    id_counts = draw_counts(np.shape(id_sums)[-2], samples, generator(seed, 0))
    ood_counts = draw_counts(np.shape(ood_sums)[-2], samples, generator(seed, 1))
    n_runs = np.shape(id_sums)[0] if np.ndim(id_sums) == 3 else 1
    seed_counts = draw_counts(n_runs, samples, generator(seed, seed_stream))
    id = resample(id_sums, metrics, id_counts, seed_counts)
    ood = resample(ood_sums, metrics, ood_counts, seed_counts)
    return Comparison(id, ood, ratio(ood, id, complements))


def paired_difference(a: Comparison, b: Comparison) -> Comparison:
    """B − A of every metric of ID, OOD and ratio, for two models evaluated on the same frames.

    Both must come from :func:`compare_sets` with the same molecules in the same order, samples and seed: then
    each draw holds the same molecules for both, and what they have in common (hard molecules) cancels.

    Raises:
        RunError: the two were resampled from different numbers of molecules or draws.
    """
    for part in ("id", "ood"):
        left, right = getattr(a, part), getattr(b, part)
        shapes = [{np.shape(draw) for draw in side.draws.values()} for side in (left, right)]
        if left.n_molecules != right.n_molecules or shapes[0] != shapes[1]:
            raise RunError(
                f"the runs cannot be paired: {left.n_molecules} and {right.n_molecules} {part.upper()} "
                "molecules; compare runs of the same task on the same data"
            )
    return Comparison(difference(b.id, a.id), difference(b.ood, a.ood), difference(b.ratio, a.ratio))
