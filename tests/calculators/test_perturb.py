"""The evaluator finds the noise that it was told, and labels that are computed again are found exact."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from compbench_jax.calculators.evaluate import Work, compute, evaluate_calculator
from compbench_jax.calculators.perturb import Perturb
from compbench_jax.calculators.spec import parse_spec
from compbench_jax.evaluation.intervals import measure
from compbench_jax.evaluation.score import all_atom_terms, frame_table
from compbench_jax.evaluation.settings import Settings
from compbench_jax.metrics.aggregate import complete_table, metrics_from_sums, molecule_sums
from compbench_jax.store.frames import Frames, offsets_of
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task

MINI = Path(__file__).parent.parent.parent / "data" / "mini"
MEAN_ABSOLUTE = np.sqrt(2 / np.pi)
"""Of a standard normal variable."""


@pytest.fixture(scope="module")
def mini():
    return open_store(MINI)


def test_the_noise_comes_out(mini, tmp_path):
    sigma, energy_sigma = 0.05, 0.03
    spec = parse_spec("perturb", json.dumps({"force_sigma": sigma, "energy_sigma": energy_sigma, "seed": 1}))
    split = get_task("chain_extension").split(mini)
    settings = Settings(samples=200, fit_frames=60, max_frames=140)
    results = evaluate_calculator(spec, mini, split, Work(tmp_path), settings).results
    assert results["levels"] == {"labels": "GFN2-xTB", "calculator": "GFN2-xTB", "same": True}
    assert "partial" not in results
    for part in ("id", "ood"):
        block = results[part]
        components = 3 * block["n_atoms"]
        # The mean of n absolute normal values has the standard error σ √((1 − 2/π) / n).
        error = sigma * np.sqrt((1 - 2 / np.pi) / components)
        assert abs(block["force_mae"]["value"] - sigma * MEAN_ABSOLUTE) < 4 * error
        assert block["force_rmse"]["value"] == pytest.approx(sigma, rel=4 / np.sqrt(2 * components))
        error = energy_sigma * np.sqrt((1 - 2 / np.pi) / block["n_frames"])
        assert abs(block["energy_mae_raw"]["value"] - energy_sigma * MEAN_ABSOLUTE) < 4 * error
    # Nothing but noise: the fitted shifts are small, and what is left is no larger than the noise.
    assert max(abs(shift) for shift in results["energy_shifts"]["per_element"].values()) < 0.02
    assert results["id"]["energy_mae_centred"]["value"] < 1.1 * energy_sigma * MEAN_ABSOLUTE


def test_intervals_hold_the_noise_as_often_as_they_promise():
    """Coverage over 100 independent draws of the noise: two made-up frames of each of 60 molecules, 3 to 8 atoms."""
    rng = np.random.default_rng(0)
    sizes = np.repeat(rng.integers(3, 9, 60), 2)
    labels = rng.normal(size=(sizes.sum(), 3)).astype(np.float32)
    energies = rng.normal(size=len(sizes))
    frames = Frames(
        np.ones(len(labels), np.int32), labels, labels, energies, np.repeat(np.arange(60), 2), offsets_of(sizes)
    )
    structures = []
    for k, own in enumerate(np.split(labels, frames.offsets[1:-1])):
        atoms = Atoms("H" * len(own), own)
        atoms.info |= {"frame": k, "label_energy": energies[k]}
        atoms.arrays["label_forces"] = own.astype(np.float64)
        structures.append(atoms)
    sigma, energy_sigma = 0.05, 0.03
    told = {"force_mae": sigma * MEAN_ABSOLUTE, "force_rmse": sigma, "energy_mae_raw": energy_sigma * MEAN_ABSOLUTE}
    held = dict.fromkeys(told, 0)
    for seed in range(100):
        calculator = Perturb(sigma, energy_sigma, seed)
        found = []
        for atoms in structures:
            calculator.calculate(atoms)
            found.append(calculator.results)
        forces = np.concatenate([item["forces"] for item in found]).astype(np.float32)
        errors = np.array([item["energy"] for item in found]) - energies
        table = frame_table(frames, all_atom_terms(forces, labels), forces, errors)
        _, sums = molecule_sums(complete_table(table, errors, errors), frames.molecule)
        intervals = measure(sums, metrics_from_sums, {}, "ood").estimates()
        for name, truth in told.items():
            held[name] += intervals[name].low <= truth <= intervals[name].high
    # 95 expected; a binomial count of 100 lies outside 88 … 100 once in 250 times.
    assert all(count >= 88 for count in held.values()), held
    assert min(held.values()) < 100, "intervals that never miss are too wide"


def test_gfn2_computes_the_labels_again_and_gfn1_does_not(mini, tmp_path):
    frames = np.concatenate([mini.select(m, "primary")[:2] for m in (0, 12)])
    labels = mini.gather(frames)
    found = {}
    for name in ("gfn2-xtb", "gfn1-xtb"):
        spec = parse_spec(name)
        log = compute(spec, mini, frames, Work(tmp_path / name))
        forces = np.concatenate([log.outcomes[int(f)].forces for f in frames])
        found[name] = np.abs(forces - labels.forces).max()
        if name == "gfn2-xtb":
            energies = [log.outcomes[int(f)].energy for f in frames]
            np.testing.assert_allclose(energies, labels.energy, atol=1e-5)
    assert found["gfn2-xtb"] < 2e-5
    assert found["gfn1-xtb"] > 0.02
