"""Velocity Verlet in a batch: its order, ASE's numbers, resuming, and what figures are made of a trajectory."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from analytic import PARAMS, LennardJones, Springs, chain, engine
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from compbench_jax.calculator import CompBenchCalculator
from compbench_jax.dynamics.nve import compare_trajectories, nve_figures
from compbench_jax.dynamics.start import masses_of, thermal_velocities
from compbench_jax.dynamics.system import System
from compbench_jax.dynamics.trajectory import read_trajectory
from compbench_jax.dynamics.verlet import integrate
from compbench_jax.dynamics.vibrations import degrees_of_freedom
from compbench_jax.errors import DataError
from compbench_jax.training.loaded_run import LoadedRun

GRAPHS = [chain([6, 1]), chain([8, 1, 1], [(0, 1), (0, 2)]), chain([6, 6])]
POSITIONS = [
    np.array([[0.0, 0, 0], [1.25, 0, 0]]),
    np.array([[0.0, 0, 0], [1.0, 0.2, 0], [-0.2, 1.0, 0.1]]),
    np.array([[0.0, 0, 0], [0.9, 0, 0.3]]),
]


def velocities(seed=0, temperature=300.0):
    rng = np.random.default_rng(seed)
    return [
        thermal_velocities(masses_of(graph), at, temperature, rng) for graph, at in zip(GRAPHS, POSITIONS, strict=True)
    ]


def run(springs, time_step, steps, stride=1, path=None, graphs=GRAPHS, positions=POSITIONS, speeds=None):
    system = System(springs.potential, graphs)
    return integrate(
        springs,
        system,
        system.centred(positions),
        np.concatenate(speeds if speeds is not None else velocities()),
        np.concatenate([masses_of(graph) for graph in graphs]),
        time_step=time_step * units.fs,
        stride=stride,
        records=steps // stride,
        path=path,
    )


def test_half_the_time_step_is_a_quarter_of_the_error_of_the_energy():
    with jax.enable_x64(True):
        springs = engine(Springs(), precision="float64")
        errors = []
        for time_step in (0.4, 0.2, 0.1):
            found = run(springs, time_step, round(20.0 / time_step))
            total = found.potential + found.kinetic
            errors.append(np.abs(total - total[0]).max(axis=0))
    for coarse, fine in pairwise(errors):
        np.testing.assert_allclose(coarse / fine, 4.0, rtol=0.1)


def test_a_batch_moves_as_each_molecule_does_in_ase():
    lennard_jones = engine(LennardJones(epsilon=0.4, sigma=1.0))
    rng = np.random.default_rng(3)
    graphs = [chain([6] * 4), chain([8, 1, 6])]
    positions = [np.array([[0, 0, 0], [1.15, 0, 0], [0, 1.15, 0], [0, 0, 1.15]]), np.eye(3) * 0.85]
    speeds = [rng.normal(size=at.shape) * 0.01 for at in positions]
    found = run(lennard_jones, 0.5, 60, stride=5, graphs=graphs, positions=positions, speeds=speeds)
    first = 0
    for k, (graph, at, speed) in enumerate(zip(graphs, positions, speeds, strict=True)):
        atoms = Atoms(graph.numbers, at - at.mean(axis=0))
        atoms.calc = CompBenchCalculator(LoadedRun({}, lennard_jones.potential, PARAMS, 0))
        atoms.set_velocities(speed)
        dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
        for record in range(1, 13):
            dynamics.run(5)
            own = found.positions[record, first : first + graph.n_atoms]
            np.testing.assert_allclose(own, atoms.positions, atol=2e-5)
            assert found.potential[record, k] == pytest.approx(atoms.get_potential_energy(), abs=2e-5)
            assert found.kinetic[record, k] == pytest.approx(atoms.get_kinetic_energy(), abs=2e-5)
        first += graph.n_atoms
    assert np.ptp(found.kinetic, axis=0).min() > 1e-3


def test_an_interrupted_trajectory_goes_on_where_it_was(tmp_path, monkeypatch):
    springs, path = engine(Springs()), tmp_path / "kept.npz"
    whole = run(springs, 0.5, 600, stride=50)
    seen = []

    def interrupt(done, total):
        seen.append((done, total))
        if len(seen) == 3:
            raise KeyboardInterrupt

    system = System(springs.potential, GRAPHS)
    arguments = (system.centred(POSITIONS), np.concatenate(velocities()))
    masses = np.concatenate([masses_of(graph) for graph in GRAPHS])
    options = {"time_step": 0.5 * units.fs, "stride": 50, "records": 12, "path": path}
    with pytest.raises(KeyboardInterrupt):
        integrate(springs, system, *arguments, masses, **options, progress=interrupt)
    kept = read_trajectory(path, system.n_atoms, 3)
    assert len(kept.potential) == 9
    # What is there is believed, so that it is known to be used.
    marked = kept.positions.copy()
    marked[0] = 7.0
    type(kept)(marked, kept.potential, kept.kinetic, kept.state).save(path)
    found = integrate(springs, system, *arguments, masses, **options)
    assert (found.positions[0] == 7.0).all() and len(found.potential) == 13
    np.testing.assert_allclose(found.positions[1:], whole.positions[1:], atol=1e-4)
    path.write_bytes(b"PK not a file")
    with pytest.raises(DataError, match=f"{path.name} is damaged: remove it"):
        integrate(springs, system, *arguments, masses, **options)
    path.unlink()
    again = integrate(springs, system, *arguments, masses, **options)
    np.testing.assert_array_equal(again.positions, whole.positions)


def test_velocities_are_thermal_and_the_molecule_rests():
    graph = chain([6, 8, 1, 1, 6, 6, 1, 8])
    rng = np.random.default_rng(0)
    at, masses = rng.normal(size=(8, 3)), masses_of(graph)
    temperatures = []
    for _ in range(400):
        speeds = thermal_velocities(masses, at, 300.0, rng)
        np.testing.assert_allclose(masses @ speeds, 0.0, atol=1e-12)
        r = at - masses @ at / masses.sum()
        np.testing.assert_allclose((masses[:, None] * np.cross(r, speeds)).sum(axis=0), 0.0, atol=1e-10)
        temperatures.append((masses[:, None] * speeds**2).sum() / (18 * units.kB))
    assert np.mean(temperatures) == pytest.approx(300.0, rel=0.05)
    line = np.array([[0.0, 0, 0], [1.1, 0, 0]])
    assert np.isfinite(thermal_velocities(masses[:2], line, 300.0, rng)).all()


def test_temperatures_are_those_of_the_start_for_bent_and_linear_molecules():
    """Velocities without translation and rotation, divided by the degrees of freedom that are left."""
    rng, times = np.random.default_rng(1), 0.01 * np.arange(20)
    bent, linear = np.array([[0.0, 0, 0], [1.2, 0, 0], [1.5, 1.1, 0]]), np.outer(np.arange(3), [1.1, 0, 0])
    for at, freedom in ((bent, 3), (linear, 4)):
        graph = chain([8, 6, 8])
        masses = masses_of(graph)
        assert degrees_of_freedom(masses, at) == freedom
        speeds = [thermal_velocities(masses, at, 300.0, rng) for _ in range(3000)]
        mean = np.mean([0.5 * (masses[:, None] * v**2).sum() for v in speeds])
        found = nve_figures(graph, times, np.repeat(at[None], 20, axis=0), np.zeros(20), np.full(20, mean))
        assert found["temperature"] == pytest.approx(300.0, rel=0.05)
    atom = nve_figures(chain([8]), times, np.zeros((20, 1, 3)), np.zeros(20), np.zeros(20))
    assert (atom["temperature"], atom["lost"]) == (0.0, 0)


def stationary(graph, positions, n=100):
    return np.repeat(positions[None], n, axis=0), np.zeros(n), np.full(n, 0.05 * graph.n_atoms)


def test_drift_is_the_slope_an_atom_and_broken_bonds_end_it():
    graph, at = GRAPHS[1], POSITIONS[1]
    times = 0.01 * np.arange(100)
    positions, potential, kinetic = stationary(graph, at)
    potential = potential + 0.006 * times
    found = nve_figures(graph, times, positions, potential, kinetic)
    assert found["drift"] == pytest.approx(2.0) and (found["broken"], found["lost"]) == (0, 0)
    assert found["temperature"] == pytest.approx(2 * 0.05 * graph.n_atoms / ((3 * graph.n_atoms - 6) * units.kB))
    positions = positions.copy()
    positions[60:, 2] += 1.5
    potential[60:] += 3.0
    found = nve_figures(graph, times, positions, potential, kinetic)
    assert found["drift"] == pytest.approx(2.0)
    assert (found["broken"], found["lost"], found["broken_at"]) == (1, 0, pytest.approx(0.6))
    assert "O0-H2 broke" in found["how"]
    positions[30:] = np.nan
    found = nve_figures(graph, times, positions, potential, kinetic)
    assert (found["broken"], found["lost"], found["kept"]) == (1, 1, 30)
    kinetic[5:] = 100.0
    found = nve_figures(graph, times, positions, potential, kinetic)
    assert (found["drift"], found["lost"], found["kept"]) == (None, 1, 5)


def test_a_molecule_that_flies_apart_is_seen_in_its_trajectory():
    """Hot enough for the shallow well of Lennard-Jones, and not for springs."""
    times, counts, at = 0.005 * np.arange(101), [], [POSITIONS[0] * 0.9, *POSITIONS[1:]]
    for module, heat in ((LennardJones(epsilon=0.01, sigma=1.0), 40.0), (Springs(), 1.0)):
        found = run(engine(module), 0.1, 500, stride=5, positions=at, speeds=[heat * v for v in velocities()])
        counts.append(compare_trajectories(GRAPHS[0], times, found, 0, slice(0, 2), None)["broken"])
    assert counts == [1, 0]
