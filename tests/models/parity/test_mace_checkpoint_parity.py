"""Converted MACE checkpoints against mace-torch in float64, for the architectures of the published ones.

Needs the environment of mace-torch: `compbench foundation install mace` (about 1.4 GB). The weights are random: the
published ones are downloads.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms

from compbench_jax.deploy.ase_calculator import CompBenchCalculator
from compbench_jax.errors import CompBenchError
from compbench_jax.foundation.convert import convert
from compbench_jax.foundation.install import foundation_path
from compbench_jax.models.precision import cast_params
from compbench_jax.training.loaded_run import load_run

pytestmark = pytest.mark.slow

NAMES = ("off", "off-single", "off-full", "off-large", "mp", "mp-small", "mp-successor", "mp-full", "heads", "unscaled")


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return foundation_path("mace")
    except CompBenchError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_energies_and_forces_are_those_of_mace_torch(python, tmp_path, name):
    script = Path(__file__).with_name("mace_models.py")
    subprocess.run([python, "-I", script, tmp_path, name], check=True, capture_output=True)
    head = "dft" if name == "heads" else None
    folder = convert("mace", tmp_path / "run", checkpoint=tmp_path / f"{name}.model", head=head)
    found = np.load(tmp_path / f"{name}.npz", allow_pickle=False)
    with jax.enable_x64(True):
        run = load_run(folder)
        potential = replace(run.potential, precision="float64")
        calculator = CompBenchCalculator(replace(run, potential=potential, params=cast_params(run.params, "float64")))
        count = sum(key.startswith("z") for key in found.files)
        worst, largest = (0.0, 0.0), max(np.abs(found[f"f{i}"]).max() for i in range(count))
        for i in sorted(range(count), key=lambda i: -len(found[f"z{i}"])):  # the largest first: one program for all
            atoms = Atoms(found[f"z{i}"], found[f"x{i}"], calculator=calculator)
            wrong = (
                abs(atoms.get_potential_energy() - found[f"e{i}"]),
                np.abs(atoms.get_forces() - found[f"f{i}"]).max(),
            )
            worst = max(worst[0], wrong[0]), max(worst[1], wrong[1])
    print(f"{name}: {worst[0]:.1e} eV, {worst[1]:.1e} eV/Å; the largest force is {largest:.1e} eV/Å")
    assert largest > 1e-3, "the forces vanish: the test would prove nothing"
    assert worst[0] < 1e-6
    assert worst[1] < 1e-5
