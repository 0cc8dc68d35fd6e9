import numpy as np
import pytest

from compbench_jax.store.coverage import coverage, nearest_distances, overlap

SEGMENTS = np.repeat(np.arange(20), 5)
SECONDARY = SEGMENTS >= 12


def test_overlap_of_known_histograms():
    assert overlap(np.array([2.0, 2.0]), np.array([3.0, 1.0])) == pytest.approx(0.75)
    assert overlap(np.array([1.0, 0.0]), np.array([0.0, 9.0])) == 0.0
    p = np.array([1.0, 5.0, 3.0])
    assert overlap(p, 7 * p) == pytest.approx(1.0)


def test_distances_to_the_nearest_frame():
    others = np.array([[60.0, 180.0], [180.0, 180.0]])
    angles = np.array([[170.0, -170.0], [-60.0, -179.0], [60.0, 60.0]])
    found = nearest_distances(angles, others)
    assert found[0] == pytest.approx(10.0)
    assert found[1] == pytest.approx(np.sqrt(0.5))  # the mirror image of the first of the others
    assert found[2] == pytest.approx(np.sqrt(120.0**2 / 2))


def test_blocks_do_not_matter():
    rng = np.random.default_rng(0)
    angles, others = rng.uniform(-180, 180, (150, 2)), rng.uniform(-180, 180, (70, 2))
    found = nearest_distances(angles, others)
    assert found[149] == pytest.approx(nearest_distances(angles[149:], others)[0])


def test_sets_of_one_distribution_overlap_as_redealt_segments_do():
    rng = np.random.default_rng(1)
    angles = np.repeat(rng.choice([-60.0, 60.0, 180.0], (20, 4)), 5, axis=0) + rng.normal(0, 8, (100, 4))
    found = coverage(angles, SECONDARY, SEGMENTS)
    assert found.overlap == pytest.approx(found.overlap_redealt, abs=0.15)
    assert coverage(angles, SECONDARY, SEGMENTS) == found


def test_sets_in_different_basins_are_told_from_chance():
    """The trap the segments were made for: one set trans, the other gauche."""
    rng = np.random.default_rng(2)
    angles = np.where(SECONDARY[:, None], 180.0, 60.0) + rng.normal(0, 5, (100, 2))
    found = coverage((angles + 180) % 360 - 180, SECONDARY, SEGMENTS)
    assert found.overlap == 0.0 and found.overlap_redealt > 0.5
    assert found.covered == 0.0 and found.nearest_median > 90


def test_nothing_to_compare():
    assert coverage(np.zeros((100, 0)), SECONDARY, SEGMENTS) is None
    assert coverage(np.zeros((100, 1)), np.zeros(100, bool), SEGMENTS) is None
    assert coverage(np.zeros((100, 1)), np.ones(100, bool), SEGMENTS) is None
