"""Distances of distributions that are known."""

import numpy as np
import pytest
from analytic import chain

from compbench_jax.dynamics.distributions import bond_angles, circular_wasserstein, distances, wasserstein


def test_a_shift_is_its_own_distance_whatever_the_numbers_of_samples():
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(400, 2))
    np.testing.assert_allclose(wasserstein(sample, sample + [0.5, -2.0]), [0.5, 2.0])
    np.testing.assert_allclose(wasserstein(sample, np.repeat(sample, 3, axis=0)), 0.0, atol=1e-12)
    assert wasserstein(sample, rng.permutation(sample)) == pytest.approx([0.0, 0.0])


def test_on_the_circle_the_shorter_way_counts():
    points = np.full((10, 1), 170.0)
    assert circular_wasserstein(points, points + 5.0 - 360.0 + 5.0) == pytest.approx([10.0])
    spread = np.arange(-180.0, 180.0, 5.0)[:, None]
    assert circular_wasserstein(spread, np.roll(spread, 7)) == pytest.approx([0.0])
    assert circular_wasserstein(points, np.full((4, 1), -10.0)) == pytest.approx([180.0])


def test_bonds_angles_and_torsions_of_a_chain():
    graph = chain([6, 6, 6, 6])
    assert bond_angles(graph).tolist() == [[0, 1, 2], [1, 2, 3]]
    rng = np.random.default_rng(1)
    at = np.array([[0.0, 0, 0], [1.5, 0, 0], [2.0, 1.4, 0], [3.5, 1.4, 0.3]]) + 0.05 * rng.normal(size=(50, 4, 3))
    assert distances(graph, at, at) == {"bond": 0.0, "angle": 0.0, "torsion": 0.0}
    moved = distances(graph, at, 1.1 * at)
    assert moved["bond"] == pytest.approx(0.15, rel=0.02) and moved["angle"] == pytest.approx(0.0, abs=1e-9)
    assert distances(chain([6, 1]), at[:, :2], at[:, :2]) == {"bond": 0.0, "angle": None, "torsion": None}
