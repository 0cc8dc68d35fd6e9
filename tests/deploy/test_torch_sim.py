"""A run as a model of TorchSim: the numbers of ASE for many molecules at once, and its dynamics."""

import numpy as np
import pytest
import toy_store
from ase import Atoms

from compbench_jax.calculator import CompBenchCalculator
from compbench_jax.errors import CompBenchError

torch_sim = pytest.importorskip("torch_sim", reason="needs torch-sim-atomistic")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return toy_store.make_run(toy_store.make_store(tmp_path_factory.mktemp("torch") / "store"))


def molecules():
    rng = np.random.default_rng(0)
    atoms = [
        Atoms("COH", [[0, 0, 0], [1.2, 0, 0], [0, 1.1, 0]]),
        Atoms("CH4", 1.1 * np.vstack([np.zeros(3), np.eye(3), -np.ones(3) / 2])),
    ]
    for item in atoms:
        item.positions += 0.05 * rng.normal(size=item.positions.shape)
    return atoms


def test_it_equals_the_calculator_and_can_be_integrated(run):
    from compbench_jax.deploy.torch_sim import TorchSimModel

    model, structures = TorchSimModel(run), molecules()
    state = torch_sim.io.atoms_to_state(structures, torch.device("cpu"), torch.float64)
    before = state.positions.clone()
    found = model(state)
    assert torch.equal(before, state.positions) and found["energy"].shape == (2,)
    forces = np.split(found["forces"].numpy(), [3])
    for atoms, energy, force in zip(structures, found["energy"].tolist(), forces, strict=True):
        atoms.calc = CompBenchCalculator(run)
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
        np.testing.assert_allclose(force, atoms.get_forces(), atol=1e-5)
    nve = getattr(torch_sim, "Integrator", torch_sim).nve  # newer versions have an enumeration
    final = torch_sim.integrate(
        system=structures, model=model, integrator=nve, n_steps=3, timestep=0.0002, temperature=100
    )
    assert float((final.positions - before).abs().max()) > 1e-4
    with pytest.raises(CompBenchError, match="isolated molecules"):
        model(torch_sim.io.atoms_to_state([Atoms("H2", np.eye(3)[:2], cell=[9, 9, 9], pbc=True)], "cpu", torch.float64))
