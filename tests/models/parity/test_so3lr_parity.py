"""SO3LR against the original: energies and forces of 30 frames of ten molecules in float64.

Needs the original's environment: `compbench foundation install so3lr` (about 1.3 GB).
"""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms

from compbench_jax.calculators.process import Job, WorkerProcess
from compbench_jax.calculators.spec import CalculatorSpec
from compbench_jax.deploy.ase_calculator import CompBenchCalculator
from compbench_jax.errors import CompBenchError
from compbench_jax.foundation.convert import convert
from compbench_jax.foundation.install import foundation_spec
from compbench_jax.models.precision import cast_params
from compbench_jax.store.store import open_store
from compbench_jax.training.loaded_run import load_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spec() -> CalculatorSpec:
    try:
        return foundation_spec("so3lr")
    except CompBenchError as error:
        pytest.skip(str(error))


def test_energies_and_forces_are_the_originals(spec, tmp_path):
    store = open_store(Path(__file__).parents[3] / "data/mini")
    sizes = np.array([len(graph.numbers) for graph in store.graphs])
    chosen = np.argsort(sizes, kind="stable")[np.linspace(0, len(sizes) - 1, 10).astype(int)]
    worker = WorkerProcess(spec, tmp_path / "log.txt", 600.0)
    with jax.enable_x64(True):
        run = load_run(convert("so3lr", tmp_path / "run"))
        potential = replace(run.potential, precision="float64")
        ours = CompBenchCalculator(replace(run, potential=potential, params=cast_params(run.params, "float64")))
        # The largest first: one program for all.
        for molecule in chosen[::-1]:
            frames = np.flatnonzero(store.molecule == molecule)[[0, 30, 60]]
            for frame in frames.tolist():
                found = store.gather([frame])
                positions = found.positions.astype(np.float64)
                theirs = worker.ask(Job(frame, 0, found.numbers, positions, dict(spec.info), {}), 600.0)
                atoms = Atoms(found.numbers, positions, calculator=ours)
                np.testing.assert_allclose(atoms.get_forces(), theirs.forces, atol=1e-8)
                assert atoms.get_potential_energy() == pytest.approx(theirs.energy, abs=1e-8)
    worker.close()
