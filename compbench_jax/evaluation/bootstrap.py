"""What is left of the bootstrap: resampling for :mod:`compbench_jax.evaluation.uncertainty`, and names that moved."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from compbench_jax.evaluation.intervals import FEWEST, LEVEL, Estimate, paired_difference

__all__ = ["Estimate", "Resampled", "draw_counts", "generator", "paired_difference"]


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
