"""Trained potentials in ASE: the evaluator's numbers, few compilations, dynamics that conserve energy."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_store
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from compbench_jax.batching.neighbours import neighbour_lists
from compbench_jax.calculator import CompBenchCalculator
from compbench_jax.deploy.benchmark import benchmark, speed_lines
from compbench_jax.deploy.skin import SkinList
from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.predict import make_step, predict
from compbench_jax.evaluation.sets import datasets_of
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.potential import Normalisation, Potential
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.store.frames import Frames
from compbench_jax.training.loaded_run import LoadedRun


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return toy_store.make_store(tmp_path_factory.mktemp("ase") / "store")


def atoms_of(store, frame):
    rows = slice(int(store.offsets[frame]), int(store.offsets[frame + 1]))
    return Atoms(store.graphs[store.molecule[frame]].numbers, np.array(store.positions[rows], float))


def evaluator(run, store, frames):
    (data,) = datasets_of(run, store, [frames], Settings(batch_size=4))
    found = predict(make_step(run.potential), run.params, data)
    return found.energy, np.split(found.forces, data.frames.offsets[1:-1])


def random_run(store, model, seed=0):
    """A small potential of the registry with the parameters it starts from."""
    potential = build_potential(model, toy_store.NORMALISATION)
    run = LoadedRun(toy_store.make_run(store).config, potential, None, 0)
    (data,) = datasets_of(run, store, [np.arange(4)], Settings(batch_size=2))
    params = jax.jit(potential.init)(jax.random.key(seed), data.batch(data.sequential()[0]))
    return replace(run, params=jax.device_get(params))


SMALL = {
    "schnet": replace(MODELS["schnet"], cutoff=2.5, features=8, interactions=1, n_basis=4),
}


@pytest.mark.parametrize("name", ["pairs", *SMALL])
def test_frame_by_frame_equals_the_evaluator(store, name):
    run = toy_store.make_run(store) if name == "pairs" else random_run(store, SMALL[name])
    frames = np.array([0, 1, 60] if name in SMALL else [0, 1, 15, 16, 40, 60, 3])
    energies, forces = evaluator(run, store, frames)
    calculator = CompBenchCalculator(run)
    for frame, energy, force in zip(frames, energies, forces, strict=True):
        atoms = atoms_of(store, frame)
        atoms.positions += [30.0, -20.0, 10.0]
        before = atoms.positions.copy()
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=2e-5)
        np.testing.assert_allclose(atoms.get_forces(), force, atol=2e-5)
        np.testing.assert_array_equal(atoms.positions, before)
    assert "forces_std" not in calculator.results


def test_it_compiles_only_when_a_molecule_needs_more_room(store):
    calculator = CompBenchCalculator(toy_store.make_run(store), skin=0.3)
    rng = np.random.default_rng(0)
    small, large = atoms_of(store, 0), atoms_of(store, int(store.select(4, "primary")[0]))
    counts = []
    for atoms in (small, large, small):
        atoms.calc = calculator
        for _ in range(20):
            atoms.positions += 0.02 * rng.normal(size=atoms.positions.shape)
            atoms.get_forces()
        counts.append(calculator.compilations)
    assert counts[0] == 1 and counts[1] == 2 and counts[2] == 2


def test_the_skin_list_has_the_edges_of_a_new_search_at_every_step():
    rng = np.random.default_rng(1)
    positions = 1.5 * rng.normal(size=(20, 3))
    skin, stale = SkinList(2.0, 0.6), 0
    for _ in range(60):
        positions = positions + 0.02 * rng.normal(size=positions.shape)
        frames = Frames(
            np.full(20, 6, np.int32),
            positions.astype(np.float32),
            np.zeros((20, 3), np.float32),
            np.zeros(1),
            np.zeros(1, np.int32),
            np.array([0, 20]),
        )
        found, wanted = skin.edges(frames), neighbour_lists(frames, 2.0)
        np.testing.assert_array_equal(found.senders, wanted.senders)
        np.testing.assert_array_equal(found.receivers, wanted.receivers)
        stale += len(wanted.senders) != len(neighbour_lists(frames, 2.6).senders)
    assert stale and 1 < skin.searches < 30
    with pytest.raises(CompBenchError, match="skin"):
        SkinList(2.0, -1.0)


def test_an_ensemble_gives_mean_and_spread(store):
    strengths = (0.28, 0.30, 0.35)
    runs = [toy_store.make_run(store, strength) for strength in strengths]
    # The third has other reference energies and the fourth another scale: one shares the program, one can't.
    shifted = replace(toy_store.NORMALISATION, reference_energies=(-13.1, -1030.0, -2040.0))
    runs[2] = replace(runs[2], potential=replace(runs[2].potential, normalisation=shifted))
    scaled = replace(toy_store.NORMALISATION, scale=2.2)
    other = toy_store.make_run(store, 0.3)
    runs.append(replace(other, potential=replace(other.potential, normalisation=scaled)))
    atoms = atoms_of(store, 20)
    alone = []
    for run in runs:
        atoms.calc = CompBenchCalculator(run)
        alone.append((atoms.get_potential_energy(), atoms.get_forces()))
    atoms.calc = ensemble = CompBenchCalculator(runs[0], ensemble=runs[1:])
    energies, forces = np.array([e for e, _ in alone]), np.array([f for _, f in alone])
    assert atoms.get_potential_energy() == pytest.approx(energies.mean(), abs=1e-6)
    np.testing.assert_allclose(atoms.get_forces(), forces.mean(0), atol=1e-6)
    assert ensemble.results["energy_std"] == pytest.approx(energies.std(ddof=1), abs=1e-6)
    np.testing.assert_allclose(ensemble.results["forces_std"], forces.std(0, ddof=1), atol=1e-6)
    assert ensemble.results["forces_std"].max() > 1e-3
    assert ensemble.compilations == 2


def test_what_cannot_be_computed_is_one_line(store, tmp_path):
    calculator = CompBenchCalculator(toy_store.make_run(store))
    with pytest.raises(CompBenchError, match=r"knows H, C, O, not Cl, Ar: take") as caught:
        Atoms("HClAr", np.eye(3), calculator=calculator).get_forces()
    assert "\n" not in str(caught.value)
    with pytest.raises(CompBenchError, match="isolated"):
        Atoms("H2", np.eye(3)[:2], cell=[9, 9, 9], pbc=True, calculator=calculator).get_forces()
    with pytest.raises(RunError, match="there is no run at"):
        CompBenchCalculator(tmp_path / "nowhere")
    bonded = replace(toy_store.make_run(store).potential, bonded=True)
    wrong = CompBenchCalculator(replace(toy_store.make_run(store), potential=bonded), graph=store.graphs[1])
    with pytest.raises(CompBenchError, match="bee's, with other atoms"):
        wrong.get_forces(atoms_of(store, 0))


class Ethane(nn.Module):
    """Springs between bonded atoms, fading out before the next pairs begin, and repulsion of the hydrogens: it
    holds ethane together.
    """

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        self.param("nothing", lambda _: jnp.zeros((), jnp.float32))
        square = (vectors**2).sum(-1)
        r = jnp.sqrt(jnp.where(square > 0, square, 1.0))
        carbons = species[senders] + species[receivers]
        rest = jnp.array([0.74, 1.09, 1.53])[carbons]
        fade = jax.nn.sigmoid(25.0 * (1.35 * rest - r)) * (carbons > 0)
        spring = 10.0 * (r - rest) ** 2 * fade - 4.0 * fade
        repulsion = jnp.where(carbons == 0, 3.0 * jnp.exp(-((r / 1.1) ** 2)), 0.0)
        terms = jnp.where(square > 0, 0.5 * (spring + repulsion), 0.0)
        return jnp.zeros(species.shape[0], vectors.dtype).at[receivers].add(terms)


@pytest.fixture(scope="module")
def ethane():
    """Relaxed ethane, and what to make calculators of."""
    normalisation = Normalisation((1, 6), (-13.0, -1030.0), 1.0, 6.0)
    run = LoadedRun({}, Potential(Ethane(), normalisation, 5.0), {"params": {"nothing": np.float32(0)}}, 0)
    atoms = molecule("C2H6")
    atoms.calc = CompBenchCalculator(run)
    FIRE(atoms, logfile=None).run(fmax=0.02, steps=200)
    return atoms, run


def hot(ethane, temperature):
    atoms, run = ethane[0].copy(), ethane[1]
    atoms.calc = CompBenchCalculator(run, skin=0.4)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(3))
    Stationary(atoms)
    ZeroRotation(atoms)
    return atoms


def test_nve_conserves_energy(ethane):
    atoms = hot(ethane, 600)
    energies = [atoms.get_total_energy()]
    dynamics = VelocityVerlet(atoms, 0.25 * units.fs)
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()), interval=10)
    kinetic = atoms.get_kinetic_energy()
    dynamics.run(2000)
    drift = np.polyfit(np.arange(len(energies)), energies, 1)[0] * len(energies)
    # 0.5 ps: no drift beyond 1 meV, no swing beyond 10 meV, of 0.3 eV of kinetic energy; and the molecule is whole.
    assert kinetic > 0.3
    assert abs(drift) < 1e-3
    assert np.ptp(energies) < 0.01
    assert atoms.get_distance(0, 1) < 1.9
    assert atoms.calc.compilations <= 2


def test_langevin_dynamics_of_ase_holds_its_temperature(ethane):
    atoms = hot(ethane, 300)
    rng = np.random.default_rng(5)
    dynamics = LangevinBAOAB(atoms, 0.5 * units.fs, temperature_K=300, T_tau=10 * units.fs, rng=rng)
    temperatures = []
    dynamics.attach(lambda: temperatures.append(atoms.get_temperature()), interval=5)
    dynamics.run(1500)
    # 24 degrees of freedom, correlated over a few tens of fs: the mean of 0.75 ps has an error of about 25 K.
    assert abs(np.mean(temperatures[40:]) - 300) < 80
    assert atoms.calc.compilations <= 2


def test_benchmark_times_both_ways(store):
    speed = benchmark(toy_store.make_run(store), store, np.arange(20), Settings(batch_size=8, max_frames=12))
    assert speed.n_frames == 12
    assert min(speed.batched, speed.bare, speed.one_by_one) > 0
    assert "times the loop" in speed_lines(speed)[1]
