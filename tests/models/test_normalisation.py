import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compbench_jax.batching.dataset import compositions
from compbench_jax.errors import DataError
from compbench_jax.models.normalisation import fit_normalisation, fit_reference_energies
from compbench_jax.store.frames import Frames, offsets_of

TRUE = {1: -13.5, 6: -1028.25, 7: -1485.0, 8: -2041.0}


def frames_of(numbers, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    n_atoms = [len(z) for z in numbers]
    energy = np.array([sum(TRUE[z] for z in one) for one in numbers]) + noise * rng.normal(size=len(numbers))
    return Frames(
        numbers=np.concatenate([np.asarray(one, np.int32) for one in numbers]),
        positions=rng.normal(size=(sum(n_atoms), 3)).astype(np.float32),
        forces=rng.normal(size=(sum(n_atoms), 3)).astype(np.float32),
        energy=energy,
        molecule=np.zeros(len(numbers), np.int32),
        offsets=offsets_of(n_atoms),
    )


ETHANE, ETHANOL, WATER, METHANE = [6] * 2 + [1] * 6, [6, 6, 8] + [1] * 6, [8, 1, 1], [6, 1, 1, 1, 1]


def test_known_reference_energies_are_recovered():
    found = fit_normalisation(frames_of([ETHANE, ETHANOL, WATER, METHANE, WATER]), average_neighbours=9.5)
    assert found.elements == (1, 6, 8)
    np.testing.assert_allclose(found.reference_energies, [TRUE[1], TRUE[6], TRUE[8]], rtol=1e-9)
    assert found.average_neighbours == 9.5


def test_scale_is_the_root_mean_square_of_the_force_components():
    frames = frames_of([WATER, METHANE])
    np.testing.assert_allclose(fit_normalisation(frames, 1.0).scale, np.sqrt((frames.forces**2).mean()), rtol=1e-6)


def test_equals_least_squares_over_all_frames():
    """Grouping the frames by composition does not change the solution."""
    frames = frames_of([WATER] * 5 + [METHANE] * 2 + [ETHANE, ETHANOL], noise=0.3)
    counts = compositions(frames, (1, 6, 8))
    direct, *_ = np.linalg.lstsq(counts, frames.energy, rcond=None)
    np.testing.assert_allclose(fit_reference_energies(counts, frames.energy), direct, rtol=1e-9)


def test_undetermined_energies_reproduce_the_total():
    """A single composition leaves one equation for two unknowns: the solution of smallest norm is taken."""
    frames = frames_of([METHANE, METHANE])
    found = fit_normalisation(frames, 1.0)
    total = np.dot(found.reference_energies, [4, 1])
    np.testing.assert_allclose(total, frames.energy[0], rtol=1e-12)
    np.testing.assert_allclose(found.reference_energies, frames.energy[0] / 17 * np.array([4, 1]), rtol=1e-12)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=2, max_size=12), st.integers(0, 100))
@settings(deadline=None, max_examples=40)
def test_residual_is_orthogonal_to_the_counts(rows, seed):
    """The defining property of least squares, whatever the rank."""
    counts = np.array(rows)
    energies = np.random.default_rng(seed).normal(size=len(rows)) - 1000.0 * counts.sum(axis=1)
    residual = energies - counts @ fit_reference_energies(counts, energies)
    np.testing.assert_allclose(counts.T @ residual, 0, atol=1e-6)


def test_no_frames():
    empty = Frames(
        np.zeros(0, np.int32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), np.zeros(0),
        np.zeros(0, np.int32), offsets_of([]),
    )  # fmt: skip
    with pytest.raises(DataError, match="no training frames"):
        fit_normalisation(empty, 1.0)


@pytest.mark.parametrize("key", ["energy", "forces"])
def test_label_that_is_not_finite(key):
    frames = frames_of([WATER])
    getattr(frames, key)[0] = np.nan
    with pytest.raises(DataError, match=f"{key} that is not finite"):
        fit_normalisation(frames, 1.0)


def test_forces_that_set_no_scale():
    frames = frames_of([WATER])
    frames.forces[:] = 0
    with pytest.raises(DataError, match="all training forces are zero"):
        fit_normalisation(frames, 1.0)
