"""Ensemble standard deviation compared with the error: rank correlation, calibration, sparsification (float64).

Standard deviation and error belong to items (the force on an atom, the energy of a frame), items to molecules;
intervals are over molecules. Weights are how often an item's molecule was drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, t

from compbench_jax.evaluation.blocks import rounded
from compbench_jax.evaluation.intervals import FEWEST, LEVEL, Estimate

BINS = 10
"""Bins of equal numbers of items in a calibration curve."""

STEPS = 20
"""Steps of a sparsification curve: 0, 5, …, 95% of the items left out."""

MOST_DRAWS = 200
"""Bootstrap draws: each sorts nothing, but goes through all atoms."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of a set of molecules and of its resampled copies, ``[samples]``; an expanded percentile interval."""

    values: dict[str, float]
    draws: dict[str, np.ndarray]
    n_molecules: int

    def estimate(self, name: str) -> Estimate:
        """One score with its interval. Draws in which it is undefined (0/0) are left out."""
        value = self.values[name]
        if not np.isfinite(value):
            return Estimate(None)
        draws = self.draws[name][np.isfinite(self.draws[name])]
        n = self.n_molecules
        if n < FEWEST or not len(draws):
            return Estimate(float(value))
        tail = float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf((1 + LEVEL) / 2, n - 1)))
        low, high = np.quantile(draws, [tail, 1 - tail])
        return Estimate(float(value), float(low), float(high))

    def estimates(self) -> dict[str, Estimate]:
        """All scores with their intervals."""
        return {name: self.estimate(name) for name in self.values}


def generator(seed: int, stream: int) -> np.random.Generator:
    """An independent random stream for each set that is resampled on its own."""
    return np.random.default_rng([seed, stream])


def draw_counts(n: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of ``n`` units occurs in draws with replacement, float64 ``[samples, n]``."""
    return rng.multinomial(n, np.full(n, 1 / n), size=samples).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Items:
    """What an ensemble says and how wrong it is.

    Attributes:
        variance: of the members' predictions, n − 1 in the denominator, mean over components, float64 ``[n]``.
        squared_error: of the ensemble's mean, mean over components, float64 ``[n]``.
        molecule: int ``[n]``.
    """

    variance: np.ndarray
    squared_error: np.ndarray
    molecule: np.ndarray


def items_of(members: Sequence[np.ndarray], reference: np.ndarray, molecule: np.ndarray) -> Items:
    """Items from the members' predictions.

    Args:
        members: predictions of two members or more, ``[n]`` (energies) or ``[n, 3]`` (forces) each.
        reference: labels, likewise.
        molecule: of each item.
    """
    if len(members) < 2:
        raise ValueError("one ensemble member has no standard deviation")
    stacked = np.stack([np.asarray(item, np.float64).reshape(len(reference), -1) for item in members])
    error = stacked.mean(axis=0) - np.asarray(reference, np.float64).reshape(len(reference), -1)
    return Items(stacked.var(axis=0, ddof=1).mean(axis=1), (error**2).mean(axis=1), np.asarray(molecule))


def weighted_ranks(values: np.ndarray) -> "Ranks":
    """Prepare mid-ranks of values, for any weights."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return Ranks(index, len(counts))


@dataclass(frozen=True, eq=False)
class Ranks:
    """Mid-ranks: the weight of all smaller values and half that of equal ones."""

    index: np.ndarray
    n_values: int

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Rank of every item, ``[n]``."""
        of_value = np.bincount(self.index, weights=weights, minlength=self.n_values)
        return (np.cumsum(of_value) - of_value / 2)[self.index]


def spearman(first: Ranks, second: Ranks, weights: np.ndarray) -> float:
    """Rank correlation of weighted items (Pearson's correlation of the ranks); NaN if a side is constant."""
    total = weights.sum()
    centred = []
    for ranks in (first(weights), second(weights)):
        centred.append(ranks - (weights @ ranks) / total)
    norms = [np.sqrt(weights @ item**2) for item in centred]
    if min(norms) == 0:
        return float("nan")
    return float((weights * centred[0]) @ centred[1] / (norms[0] * norms[1]))


def bins_of(variance: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Bin of each item, by ascending variance, as many items in each as can be, int64 ``[n]``."""
    order = np.argsort(variance, kind="stable")
    found = np.empty(len(variance), np.int64)
    found[order] = np.arange(len(variance)) * min(bins, len(variance)) // max(len(variance), 1)
    return found


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted standard deviation against error, bin by bin (Levi et al. 2022, Sensors 22, 5540; equations 8 and 9).

    Attributes:
        predicted: root of the mean variance of each bin, ``[n_bins]``.
        observed: RMSE of each bin.
        ence: expected normalised calibration error, mean over bins of |predicted − observed| / predicted.
        error_over_spread: RMSE / root mean variance of all: the factor by which the standard deviation is too small.
    """

    predicted: np.ndarray
    observed: np.ndarray
    ence: float
    error_over_spread: float


def calibration(items: Items, bins: np.ndarray, weights: np.ndarray) -> Calibration:
    """Calibration of weighted items in fixed bins; empty bins are left out."""
    columns = [np.bincount(bins, weights=weights * x) for x in (items.variance, items.squared_error)]
    count = np.bincount(bins, weights=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        predicted, observed = (np.sqrt(column / count) for column in columns)
        relative = np.abs(predicted - observed) / predicted
        overall = np.sqrt(columns[1].sum() / columns[0].sum())
    filled = count > 0
    return Calibration(predicted[filled], observed[filled], float(np.mean(relative[filled])), float(overall))


@dataclass(frozen=True, eq=False)
class Sparsification:
    """RMSE without the items of largest standard deviation (Ilg et al. 2018, arXiv 1802.07095, sect. 4).

    Attributes:
        left_out: share of the items, ``[STEPS]``.
        by_spread: RMSE of the rest over that of all items.
        by_error: the same if the items of largest error are left out: the oracle.
        ause: area between the two (trapezium rule from 0 to 0.95): 0 if items are ordered as by their errors.
        ause_of_chance: the same for a random order, whose curve stays at 1.
    """

    left_out: np.ndarray
    by_spread: np.ndarray
    by_error: np.ndarray
    ause: float
    ause_of_chance: float


def sparsification(items: Items, orders: tuple[np.ndarray, np.ndarray], weights: np.ndarray) -> Sparsification:
    """Sparsification of weighted items.

    Args:
        items: variances and errors.
        orders: of the items by ascending variance and by ascending error, see :func:`orders_of`.
        weights: ``[n]``.
    """
    left_out = np.arange(STEPS) / STEPS
    curves = []
    for order in orders:
        weight, error = weights[order], items.squared_error[order]
        reached, total = np.cumsum(weight), np.cumsum(weight * error)
        kept = (1 - left_out) * reached[-1]
        last = np.minimum(np.searchsorted(reached, kept), len(reached) - 1)
        # Of the last item only as much as is wanted, so that an item of weight two is two items.
        curves.append(np.sqrt(np.maximum(total[last] - (reached[last] - kept) * error[last], 0) / kept))
    whole = curves[1][0]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_spread, by_error = curves[0] / whole, curves[1] / whole
    areas = [_area(upper - by_error) for upper in (by_spread, np.ones(STEPS))]
    return Sparsification(left_out, by_spread, by_error, areas[0], areas[1])


def _area(heights: np.ndarray) -> float:
    """Trapezium rule over steps of 1 / STEPS."""
    return float((heights[:-1] + heights[1:]).sum() / (2 * STEPS))


def orders_of(items: Items) -> tuple[np.ndarray, np.ndarray]:
    """Items by ascending variance, and by ascending error."""
    return np.argsort(items.variance, kind="stable"), np.argsort(items.squared_error, kind="stable")


def spread_block(items: Items, samples: int, seed: int, part: str) -> dict[str, Any]:
    """What ``results["members"]["uncertainty"]`` says of one quantity on one test set.

    Args:
        items: of the ensemble.
        samples: bootstrap draws over molecules, at most ``MOST_DRAWS`` are taken.
        seed: of the draws.
        part: ``"id"`` or ``"ood"``.
    """
    molecules, owner = np.unique(items.molecule, return_inverse=True)
    draws = draw_counts(len(molecules), min(samples, MOST_DRAWS), generator(seed, ("id", "ood").index(part)))
    ranks = weighted_ranks(items.variance), weighted_ranks(items.squared_error)
    bins, orders = bins_of(items.variance), orders_of(items)

    def scores(weights: np.ndarray) -> dict[str, float]:
        calibrated, sparse = calibration(items, bins, weights), sparsification(items, orders, weights)
        return {
            "spearman": spearman(*ranks, weights),
            "ence": calibrated.ence,
            "error_over_spread": calibrated.error_over_spread,
            "ause": sparse.ause if ranks[0].n_values > 1 else float("nan"),  # an order by nothing is no order
            "ause_of_chance": sparse.ause_of_chance,
        }

    ones = np.ones(len(items.molecule))
    of_draws = [scores(counts[owner]) for counts in draws]
    values = scores(ones)
    resampled = Resampled(values, {k: np.array([item[k] for item in of_draws]) for k in values}, len(molecules))
    curve, sparse = calibration(items, bins, ones), sparsification(items, orders, ones)
    return {
        **{name: _rounded(estimate) for name, estimate in resampled.estimates().items()},
        "n_items": len(items.molecule),
        "n_molecules": len(molecules),
        "calibration": {"predicted": _list(curve.predicted), "observed": _list(curve.observed)},
        "sparsification": {
            "left_out": _list(sparse.left_out),
            "by_spread": _list(sparse.by_spread),
            "by_error": _list(sparse.by_error),
        },
    }


def _rounded(estimate: Estimate) -> dict[str, float | None]:
    return {key: rounded(getattr(estimate, key)) for key in ("value", "low", "high")}


def _list(values: np.ndarray) -> list[float | None]:
    return [rounded(float(value)) if np.isfinite(value) else None for value in values]
