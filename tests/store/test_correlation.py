import numpy as np
import pytest

from compbench_jax.store.correlation import (
    deviations,
    heavy_distances,
    segment_autocorrelation,
    statistical_inefficiency,
    unit_vectors,
)


def autoregressive(n_segments, length, phi, rng):
    """x_t = φ x_{t−1} + noise, stationary, of variance 1: ρ(k) = φ^k, g → (1 + φ) / (1 − φ)."""
    x = np.empty((n_segments, length))
    x[:, 0] = rng.normal(size=n_segments)
    for t in range(1, length):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * rng.normal(size=n_segments)
    return x


def test_a_known_process_has_its_correlation():
    x = autoregressive(400, 200, 0.7, np.random.default_rng(0))
    rho = segment_autocorrelation(x.reshape(-1, 1), np.repeat(np.arange(400), 200), 50)
    np.testing.assert_allclose(rho[:6], 0.7 ** np.arange(1, 7), atol=0.02)
    assert statistical_inefficiency(rho, 200) == pytest.approx((1 + 0.7) / (1 - 0.7), rel=0.1)


def test_pairs_never_span_two_segments():
    values = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    assert segment_autocorrelation(values, np.array([0, 0, 1, 1]), 3).tolist()[0] == 1.0
    assert np.isnan(segment_autocorrelation(values, np.array([0, 0, 1, 1]), 3)[1:]).all()
    assert segment_autocorrelation(values, np.zeros(4), 1)[0] == pytest.approx(1 / 3)


def test_what_never_changes_within_a_segment_makes_it_one_frame():
    values = np.repeat(np.random.default_rng(0).normal(size=(30, 3)), 8, axis=0)
    rho = segment_autocorrelation(values, np.repeat(np.arange(30), 8), 7)
    np.testing.assert_allclose(rho, 1.0)
    assert statistical_inefficiency(rho, 8) == pytest.approx(8.0)


def test_independent_frames_are_independent():
    values = np.random.default_rng(0).normal(size=(4000, 5))
    rho = segment_autocorrelation(values, np.repeat(np.arange(400), 10), 9)
    assert np.abs(rho).max() < 0.06
    assert statistical_inefficiency(rho, 10) == pytest.approx(1.0, abs=0.3)


def test_nothing_to_correlate():
    assert np.isnan(segment_autocorrelation(np.zeros((5, 2)), np.zeros(5), 3)).all()
    assert segment_autocorrelation(np.ones((3, 1)), np.arange(3), 0).shape == (0,)
    assert np.isnan(segment_autocorrelation(np.ones((3, 1)), np.arange(3), 2)).all()
    assert statistical_inefficiency(np.array([]), 1) is None
    assert statistical_inefficiency(np.array([np.nan]), 2) is None


def test_shape_does_not_know_place_and_orientation():
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(1, 6, 3))
    turned = positions @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 5.0
    numbers = np.array([6, 1, 8, 1, 7, 1])
    np.testing.assert_allclose(heavy_distances(turned, numbers), heavy_distances(positions, numbers))
    assert heavy_distances(positions, numbers).shape == (1, 3)
    assert heavy_distances(positions[:, :3], np.array([8, 1, 1])).shape == (1, 3)


def test_angles_on_the_circle_and_deviations():
    vectors = unit_vectors(np.array([[179.9], [-179.9]]))
    assert np.abs(vectors[0] - vectors[1]).max() < 0.01
    np.testing.assert_allclose(deviations(np.arange(6).reshape(2, 3, 1)), [[-1.5] * 3, [1.5] * 3])
