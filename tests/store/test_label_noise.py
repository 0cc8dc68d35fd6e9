from dataclasses import dataclass

import numpy as np
import pytest

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import DataError
from compbench_jax.labelling.levels import LEVELS
from compbench_jax.store.label_noise import centred_mae, measure_noise, noise_sample, with_tolerance
from compbench_jax.store.store import open_store


@dataclass
class Noisy:
    """Labels of a store plus noise of a known size and another zero of energy; every tenth frame fails."""

    store: object
    sigma: float
    calls: int = 0

    def label(self, numbers, positions):
        from ase.calculators.calculator import CalculationFailed

        self.calls += 1
        if self.calls % 10 == 0:
            raise CalculationFailed("not converged")
        rows = np.flatnonzero((self.store.positions == positions[0].astype(np.float32)).all(axis=1))
        frame = int(np.searchsorted(self.store.offsets, rows[0], side="right")) - 1
        start, stop = self.store.offsets[frame : frame + 2]
        rng = np.random.default_rng(frame)
        forces = self.store.forces[start:stop] + self.sigma * rng.normal(size=(stop - start, 3))
        return float(self.store.energy[frame]) - 100.0 * len(numbers) + 0.01 * rng.normal(), forces


@pytest.fixture(scope="module")
def mini():
    from pathlib import Path

    return open_store(Path(__file__).parent.parent.parent / "data" / "mini")


def test_the_noise_comes_out_and_failures_are_counted(mini):
    frames = noise_sample(mini, 120, 0)
    floor = measure_noise(mini, frames, Noisy(mini, 0.02), "noisy")
    assert (floor.n_frames, floor.failed) == (108, 12)
    assert floor.force_rmse == pytest.approx(0.02, rel=0.05)
    assert floor.force_mae == pytest.approx(0.02 * np.sqrt(2 / np.pi), rel=0.05)
    assert floor.force_max > 3 * floor.force_rmse
    # Two frames per molecule: the mean takes out half of the variance.
    assert floor.energy_mae == pytest.approx(0.01 * np.sqrt(2 / np.pi / 2), rel=0.25)
    with pytest.raises(DataError, match="none of 1 frames"):
        measure_noise(mini, frames[:1], Noisy(mini, 0.0, calls=9), "noisy")


def test_the_sample_has_two_frames_of_every_molecule_and_more_where_allowed(mini):
    small = noise_sample(mini, 40, 1)
    molecules, counts = np.unique(mini.molecule[small], return_counts=True)
    assert (len(molecules), set(counts)) == (20, {2})
    assert (np.diff(small) > 0).all()
    large = noise_sample(mini, 3 * len(mini.graphs), 1)
    assert set(np.unique(mini.molecule[large], return_counts=True)[1]) == {3}


def test_tolerances_scale_where_they_can():
    assert with_tolerance(LEVELS["gfn2-xtb"], 0.01).label_accuracy == pytest.approx(1e-4)
    dft = with_tolerance(LEVELS["pbe-d3bj"], 100)
    assert (dft.conv_tol, dft.conv_tol_grad) == pytest.approx((1e-8, 1e-4))
    assert with_tolerance(LEVELS["orca-pbe-d3bj"], 100) is None


def test_energies_are_centred_molecule_by_molecule():
    assert centred_mae(np.array([1.0, 3.0, 50.0]), np.array([0, 0, 1])) == 1
    assert centred_mae(np.array([1.0, 50.0]), np.array([0, 1])) is None


def test_labels_are_noisier_the_looser_they_are_and_far_from_another_level(mini, capsys):
    words = ["label-noise", str(mini.path), "--sample", "4"]
    assert exit_code_of(lambda: run_command(words)) == 0
    rows = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("GFN"):
            cells = line.split()
            rows[" ".join(cells[:-5])] = float(cells[-4])
    assert rows["GFN2-xTB, as the labels"] < 0.01  # meV/Å
    assert rows["GFN2-xTB, SCF 100× tighter"] < rows["GFN2-xTB, SCF 100× looser"] < 1
    assert rows["GFN1-xTB"] > 20
    assert exit_code_of(lambda: run_command(["label-noise", str(mini.path), "--factor", "1"])) == 2
