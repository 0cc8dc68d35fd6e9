"""Permutation test of two models on the same molecules (Good 2005, Permutation Tests, chapter 3).

If two models were equally good, it would be chance which of them had which error on a molecule. So the errors of a
molecule are exchanged between the two, for every molecule by the toss of a coin (for a difference of means this flips
the sign of the molecule's difference), and the difference of a metric is compared with those after such exchanges.
Molecules are exchanged whole, since their frames are not independent.

There is no such test of the ratio OOD/ID: two models may have the same ratio and very different errors, and then their
errors are not exchangeable.
"""

from dataclasses import dataclass

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.bootstrap import Metrics, generator

EXACT = 13
"""Up to so many molecules all 2^n exchanges are tried."""

SAMPLES = 10_000
"""Random exchanges otherwise."""

STREAM = 4
"""Of random numbers, apart from those of the bootstrap."""

Pair = tuple[np.ndarray, np.ndarray]
"""Molecule sums of A and B, the molecules in one order, ``[n_molecules, n_columns]`` each, or ``[n_runs, n_molecules,
n_columns]`` of runs that differ in their seed (whose mean is taken; A and B may have different numbers of runs).
"""


@dataclass(frozen=True)
class SwapTest:
    """Two-sided p values of metric B − metric A.

    Attributes:
        p: of each metric; None where it is not defined.
        n_molecules: that were exchanged.
        exact: all exchanges were tried, not a sample.
    """

    p: dict[str, float | None]
    n_molecules: int
    exact: bool

    @property
    def smallest(self) -> float:
        """The smallest p that so few molecules allow: only the data and their mirror image are as extreme."""
        return 2.0 ** (1 - self.n_molecules)


def swap_test(a: np.ndarray, b: np.ndarray, metrics: Metrics, seed: int = 0, samples: int = SAMPLES) -> SwapTest:
    """Test every metric of one set of molecules.

    Args:
        a: molecule sums of model A, see ``Pair``.
        b: of model B, the same molecules in the same order.
        metrics: from sums to metrics.
        seed: of the random exchanges.
        samples: their number, where there are too many to try all.

    Raises:
        RunError: A and B have different molecules.
    """
    a, b = _mean_runs(a, b)
    tosses = exchanges(len(a), samples, generator(seed, STREAM))
    exact = len(a) <= EXACT

    def difference(exchanged: np.ndarray) -> dict[str, np.ndarray]:
        move = exchanged @ (b - a)
        left, right = metrics(a.sum(axis=0) + move), metrics(b.sum(axis=0) - move)
        return {name: np.asarray(right[name] - left[name]) for name in left}

    observed, exchanged = difference(np.zeros(len(a))), difference(tosses)
    p: dict[str, float | None] = {}
    for name, value in observed.items():
        values = exchanged[name][np.isfinite(exchanged[name])]
        if not np.isfinite(value) or not len(values):
            p[name] = None
            continue
        # Equal differences must count as such although they were summed in another order.
        extreme = int((np.abs(values) >= np.abs(value) * (1 - 1e-9) - 1e-15).sum())
        p[name] = extreme / len(values) if exact else (1 + extreme) / (1 + len(values))
    return SwapTest(p, len(a), exact)


def exchanges(n: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Which molecules to exchange, 0 or 1, float64 ``[n_exchanges, n]``: every pattern once, or a random sample."""
    if n <= EXACT:
        return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    return rng.integers(0, 2, (samples, n)).astype(np.float64)


def _mean_runs(a: np.ndarray, b: np.ndarray) -> Pair:
    pair = [np.asarray(item, np.float64) for item in (a, b)]
    pair = [item.mean(axis=0) if item.ndim == 3 else item for item in pair]
    if pair[0].shape != pair[1].shape:
        raise RunError(
            f"the runs cannot be paired: {len(pair[0])} and {len(pair[1])} molecules; compare runs of the same task "
            "on the same data"
        )
    return pair[0], pair[1]
