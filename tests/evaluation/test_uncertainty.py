"""Ensembles whose spread is known to be perfect, useless or wrong by a factor."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from compbench_jax.evaluation.uncertainty import (
    Items,
    bins_of,
    calibration,
    items_of,
    orders_of,
    sparsification,
    spearman,
    spread_block,
    weighted_ranks,
)

N = 4000


def items(sigma, error, n_molecules=20):
    """Items of this spread and with this error."""
    return Items(np.square(sigma), np.square(error), np.arange(len(sigma)) % n_molecules)


def scores(found):
    ones = np.ones(len(found.variance))
    ranks = weighted_ranks(found.variance), weighted_ranks(found.squared_error)
    return (
        spearman(*ranks, ones),
        calibration(found, bins_of(found.variance), ones),
        sparsification(found, orders_of(found), ones),
    )


def test_a_perfect_spread_has_no_sparsification_error():
    error = np.random.default_rng(0).exponential(size=N)
    correlation, calibrated, sparse = scores(items(error, error))
    assert correlation == pytest.approx(1)
    assert sparse.ause == 0
    np.testing.assert_array_equal(sparse.by_spread, sparse.by_error)
    assert calibrated.ence == pytest.approx(0, abs=1e-12)
    assert calibrated.error_over_spread == pytest.approx(1)


def test_a_spread_that_says_nothing_is_as_good_as_chance():
    rng = np.random.default_rng(1)
    correlation, _, sparse = scores(items(rng.exponential(size=N), rng.exponential(size=N)))
    assert abs(correlation) < 3 / np.sqrt(N)
    assert sparse.ause == pytest.approx(sparse.ause_of_chance, rel=0.05)
    turned = rng.exponential(size=N)
    _, _, wrong = scores(items(1 / turned, turned))
    assert wrong.ause > 1.5 * wrong.ause_of_chance


def test_calibrated_gaussian_errors_lie_on_the_diagonal_and_a_factor_shows():
    rng = np.random.default_rng(2)
    sigma = rng.uniform(0.01, 0.1, 40_000)
    error = sigma * rng.normal(size=sigma.shape)
    _, calibrated, _ = scores(items(sigma, error))
    assert len(calibrated.predicted) == 10
    # 4000 errors a bin: an RMSE is known to 1 / sqrt(8000).
    np.testing.assert_allclose(calibrated.observed / calibrated.predicted, 1, atol=4 / np.sqrt(8000))
    assert calibrated.ence < 0.02
    _, narrow, _ = scores(items(sigma / 3, error))
    assert narrow.error_over_spread == pytest.approx(3, rel=0.02)
    assert narrow.ence == pytest.approx(2, rel=0.05)


def test_the_oracle_curve_of_uniform_errors_is_known():
    """Errors uniform in 0 … 1: the RMSE of those below 1 − f is (1 − f) / sqrt(3)."""
    error = (np.arange(10_000) + 0.5) / 10_000
    _, _, sparse = scores(items(error, error))
    np.testing.assert_allclose(sparse.by_error, 1 - sparse.left_out, atol=1e-3)
    assert sparse.ause_of_chance == pytest.approx(0.95**2 / 2, abs=1e-3)


def test_rank_correlation_is_scipys_and_weights_are_repetitions():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 30, 200).astype(float), rng.normal(size=200)
    b += 0.1 * a
    weights = rng.integers(0, 4, 200).astype(float)
    ranks = weighted_ranks(a), weighted_ranks(b)
    assert spearman(*ranks, np.ones(200)) == pytest.approx(spearmanr(a, b).statistic)
    rows = np.repeat(np.arange(200), weights.astype(int))
    assert spearman(*ranks, weights) == pytest.approx(spearmanr(a[rows], b[rows]).statistic)
    assert np.isnan(spearman(weighted_ranks(np.ones(9)), weighted_ranks(np.arange(9.0)), np.ones(9)))
    found = items(np.abs(a) + 1, b)
    again = Items(found.variance[rows], found.squared_error[rows], found.molecule[rows])
    one = calibration(found, bins_of(found.variance), weights)
    two = calibration(again, bins_of(found.variance)[rows], np.ones(len(rows)))
    np.testing.assert_allclose(one.observed, two.observed)
    left = sparsification(found, orders_of(found), weights)
    right = sparsification(again, orders_of(again), np.ones(len(rows)))
    np.testing.assert_allclose(left.by_error, right.by_error)


def test_items_are_the_variance_and_the_error_of_the_mean():
    members = [np.array([[1.0, 0, 0]]), np.array([[3.0, 0, 0]])]
    found = items_of(members, np.array([[0.0, 3.0, 0]]), [0])
    assert found.variance == pytest.approx([2 / 3])
    assert found.squared_error == pytest.approx([(4 + 9) / 3])
    energies = items_of([np.array([1.0, 2.0]), np.array([1.0, 4.0])], np.array([1.0, 1.0]), [0, 1])
    np.testing.assert_allclose(energies.variance, [0, 2])
    np.testing.assert_allclose(energies.squared_error, [0, 4])
    with pytest.raises(ValueError, match="no standard deviation"):
        items_of(members[:1], np.zeros((1, 3)), [0])


def test_a_block_has_intervals_over_molecules_and_curves():
    rng = np.random.default_rng(4)
    sigma = np.repeat(rng.uniform(0.01, 0.1, 20), 50)
    found = Items(sigma**2, (sigma * rng.normal(size=1000)) ** 2, np.repeat(np.arange(20), 50))
    block = spread_block(found, 1000, 0, "ood")
    for name in ("spearman", "ence", "error_over_spread", "ause", "ause_of_chance"):
        assert block[name]["low"] <= block[name]["value"] * 1.2
        assert block[name]["low"] < block[name]["high"]
    assert block["error_over_spread"]["low"] < 1 < block["error_over_spread"]["high"]
    assert (block["n_items"], block["n_molecules"]) == (1000, 20)
    assert len(block["calibration"]["observed"]) == 10
    assert block["sparsification"]["by_spread"][0] == 1
    single = spread_block(Items(sigma**2, sigma**2, np.zeros(1000, int)), 1000, 0, "ood")
    assert single["spearman"] == {"value": 1.0, "low": None, "high": None}


def test_members_that_agree_have_no_scores_but_no_failure():
    block = spread_block(Items(np.zeros(40), np.ones(40), np.arange(40) % 4), 20, 0, "id")
    assert block["spearman"]["value"] is None
    assert block["error_over_spread"]["value"] is None
    assert block["ause"]["value"] is None
