import itertools

import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.evaluation.permutation import exchanges, swap_test


def mean_metrics(sums):
    mean = sums[..., 0] / sums[..., 1]
    return {"mae": mean, "rmse": np.sqrt(mean)}


def sums_of(values, counts=1.0):
    values = np.asarray(values, float)
    counts = np.broadcast_to(np.asarray(counts, float), values.shape)
    return np.stack([values * counts, counts], axis=-1)


def test_p_values_are_shares_of_all_exchanges():
    a, b = np.array([1.0, 2.0, 3.0, 1.0]), np.array([0.5, 2.5, 1.0, 1.2])
    atoms = np.array([3.0, 9.0, 1.0, 2.0])
    observed = abs(np.dot(atoms, b - a))
    differences = [abs(np.dot(signs, atoms * (b - a))) for signs in itertools.product((1, -1), repeat=4)]
    expected = np.mean([item >= observed - 1e-12 for item in differences])
    assert 0.1 < expected < 0.9
    found = swap_test(sums_of(a, atoms), sums_of(b, atoms), mean_metrics)
    assert found.exact
    assert found.p["mae"] == pytest.approx(expected)
    assert swap_test(sums_of(b, atoms), sums_of(a, atoms), mean_metrics).p == found.p


def test_every_exchange_once_or_a_sample():
    rng = np.random.default_rng(0)
    assert len({tuple(row) for row in exchanges(6, 9, rng)}) == 64
    assert exchanges(20, 50, rng).shape == (50, 20)
    assert set(np.unique(exchanges(20, 50, rng))) == {0, 1}


@pytest.mark.parametrize("n", [7, 20])
def test_a_model_that_is_better_on_every_molecule_has_the_smallest_p(n):
    rng = np.random.default_rng(n)
    a = rng.uniform(1, 2, n)
    found = swap_test(sums_of(a), sums_of(0.9 * a), mean_metrics)
    assert found.p["mae"] == pytest.approx(found.smallest if found.exact else 1 / 10_001, rel=0.3)
    assert swap_test(sums_of(a), sums_of(a), mean_metrics).p["mae"] == 1


def test_p_is_uniform_if_the_models_are_equally_good():
    """Kolmogorov-Smirnov distance of 300 p values from uniform, exact and sampled."""
    for n, samples in ((10, 1), (20, 400)):
        rng = np.random.default_rng(n)
        p = []
        for trial in range(300):
            hardness = rng.uniform(1, 3, n)
            a, b = (hardness + 0.3 * rng.normal(size=n) for _ in range(2))
            p.append(swap_test(sums_of(a), sums_of(b), mean_metrics, trial, samples).p["mae"])
        p = np.sort(p)
        distance = np.abs(p - (np.arange(300) + 0.5) / 300).max()
        assert distance < 1.63 / np.sqrt(300)  # exceeded once in 100 times
        assert 0.02 < np.mean(p < 0.05) < 0.09


def test_runs_of_several_seeds_are_averaged_first():
    a, b = sums_of([1.0, 2.0, 3.0]), sums_of([1.5, 2.5, 3.5])
    several = swap_test(np.stack([a * [0.9, 1], a * [1.1, 1]]), np.stack([b]), mean_metrics)
    assert several.p["mae"] == swap_test(a, b, mean_metrics).p["mae"]


def test_other_molecules_are_refused():
    with pytest.raises(RunError, match="3 and 2 molecules"):
        swap_test(sums_of([1.0, 2.0, 3.0]), sums_of([1.0, 2.0]), mean_metrics)


def test_what_is_not_defined_has_no_p():
    nothing = sums_of([0.0, 0.0], 0.0)
    with np.errstate(invalid="ignore"):
        assert swap_test(nothing, nothing, mean_metrics).p["mae"] is None
