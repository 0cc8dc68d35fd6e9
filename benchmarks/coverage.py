"""How often a nominal 95% interval holds the truth, and how often two equal models are called different.

    python benchmarks/coverage.py [TRIALS]

Errors of molecules are normal (mean 1, standard deviation 0.3) or log-normal (σ = 0.6, mean 1). Seeds add a normal
deviation to all molecules of a run, whose standard error (over the runs) is 0.5, 1 or 2 times that of the molecules.
Columns are 4, 5, 7 and 12 molecules. Everything goes through ``compare_sets``, ``paired_difference`` and
``compositional_gap``, as results do. About three minutes for 2,000 trials; the standard error of a share is then 0.5%.
"""

import sys

import numpy as np

from compbench_jax.evaluation.gap import Control, compositional_gap
from compbench_jax.evaluation.intervals import compare_sets, measure, paired_difference

MOLECULES = (4, 5, 7, 12)
SEEDS = (1, 2, 3)
SHARES = (0.5, 1.0, 2.0)
SPREADS = {"normal": 0.3, "log-normal": float(np.sqrt(np.exp(0.36) - 1))}
"""Standard deviation of the errors of molecules."""


def mean_of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """A metric: the mean of what two columns hold as sum and count."""
    return {"error": sums[..., 0] / sums[..., 1]}


def errors(rng: np.random.Generator, kind: str, n: int) -> np.ndarray:
    """Errors of n molecules of mean 1."""
    return rng.normal(1, 0.3, n) if kind == "normal" else rng.lognormal(0, 0.6, n) / np.exp(0.18)


def sums_of(values: np.ndarray) -> np.ndarray:
    """Molecule sums, every molecule with one atom."""
    return np.stack([values, np.ones_like(values)], axis=-1)


def runs_of(rng: np.random.Generator, kind: str, n: int, seeds: int, share: float, scale: float = 1.0) -> np.ndarray:
    """Molecule sums of some runs; of one run alone the seed is part of the truth."""
    of_seed = share * SPREADS[kind] / np.sqrt(n) * np.sqrt(seeds)
    shifts = rng.normal(0, of_seed, seeds) if seeds > 1 else np.zeros(1)
    return sums_of(scale * (errors(rng, kind, n) + shifts[:, None]))


def holds(item, truth: float) -> bool:
    """Whether the interval of a metric holds the truth."""
    found = item.estimate("error")
    return found.low <= truth <= found.high


def coverage(kind: str, n: int, seeds: int, share: float, trials: int, seed: int = 0) -> float:
    """Share of the intervals of a mean error that hold it."""
    rng = np.random.default_rng([seed, n, seeds])
    found = (measure(runs_of(rng, kind, n, seeds, share), mean_of_sums, {}, "ood") for _ in range(trials))
    return float(np.mean([holds(item, 1.0) for item in found]))


def coverage_of_ratio(kind: str, n: int, seeds: int, share: float, trials: int, seed: int = 0) -> float:
    """The same of OOD / ID with n molecules each; seeds also change both sides together, by 5%."""
    rng = np.random.default_rng([seed, n, seeds])
    hits = []
    for _ in range(trials):
        id = runs_of(rng, kind, n, seeds, share)
        ood = runs_of(rng, kind, n, seeds, share, 2.0)
        if seeds > 1:
            common = np.exp(rng.normal(0, 0.05, (seeds, 1)))
            id[..., 0], ood[..., 0] = id[..., 0] * common, ood[..., 0] * common
        hits.append(holds(compare_sets(id, ood, mean_of_sums).ratio, 2.0))
    return float(np.mean(hits))


def coverage_of_gap(kind: str, n: int, seeds: int, share: float, trials: int, seed: int = 0) -> float:
    """The same of the compositional gap (3 − 2) / 1, all copies of the control on one split."""
    rng = np.random.default_rng([seed, n, seeds])
    hits = []
    keys = [str(k) for k in range(n)]
    for _ in range(trials):
        hard = errors(rng, kind, n)
        of_seed = share * SPREADS[kind] / np.sqrt(n) * np.sqrt(seeds) / 2 if seeds > 1 else 0.0

        def copies(values: np.ndarray, of_seed: float = of_seed) -> np.ndarray:
            return sums_of(values * (1 + rng.normal(0, of_seed, (seeds, 1))) * rng.normal(1, 0.05, (seeds, n)))

        controls = [Control(keys, item) for item in copies(2 * errors(rng, kind, n))]
        found = compositional_gap(copies(3 * hard), controls, copies(hard), mean_of_sums)
        hits.append(holds(found.gap, 1.0))
    return float(np.mean(hits))


def called_different(seeds: int, spread: float, trials: int, n: int = 9, seed: int = 0) -> float:
    """Share of pairs of equal models that are called different: seeds differ by ``spread``, molecules by 3%."""
    rng = np.random.default_rng([seed, seeds])
    found = 0
    for _ in range(trials):
        hard = rng.lognormal(0, 0.4, n)
        pair = [
            sums_of(hard * (1 + rng.normal(0, 0.03, (seeds, n))) * (1 + rng.normal(0, spread, (seeds, 1))))
            for _ in range(2)
        ]
        a, b = (compare_sets(sums, sums, mean_of_sums) for sums in pair)
        found += paired_difference(a, b).ood.differs("error")
    return found / trials


def main() -> None:
    """Print the tables."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for what, share_of in (("mean error", coverage), ("OOD / ID", coverage_of_ratio), ("gap", coverage_of_gap)):
        print(f"\ncoverage of the {what} (%), nominal 95, {trials} trials")
        print(f"{'errors':12}{'seeds':>6}{'seeds / molecules':>19}" + "".join(f"{f'n = {n}':>9}" for n in MOLECULES))
        for kind in SPREADS:
            for seeds in SEEDS:
                for share in SHARES if seeds > 1 else (0.0,):
                    cells = [f"{100 * share_of(kind, n, seeds, share, trials):9.1f}" for n in MOLECULES]
                    print(f"{kind:12}{seeds:6}{share if seeds > 1 else '–':>19}" + "".join(cells))
    print(f"\ntwo equal models called different (%), at most 5 wanted, 9 molecules, {trials} trials")
    for spread in (0.0, 0.01, 0.02, 0.05, 0.1):
        cells = ", ".join(
            f"{seeds} seeds {100 * called_different(seeds, spread, trials):.1f}" for seeds in (1, 2, 3, 5)
        )
        print(f"seeds differ by {spread:4.0%}: {cells}")


if __name__ == "__main__":
    main()
