"""The energy of a molecule as a function in JAX: ASE's numbers, and dynamics of JAX MD that conserve it."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from analytic import LennardJones, Springs, Swirl, potential
from ase import Atoms, units
from model_graphs import molecule

from compbench_jax.calculator import CompBenchCalculator
from compbench_jax.dynamics.energy_function import energy_function
from compbench_jax.errors import CompBenchError
from compbench_jax.training.loaded_run import LoadedRun


def run_of(module, **options):
    references = {"reference_energies": (-13.0, -1030.0, -2040.0)}
    made = potential(module, precision="float64", **options)
    made = replace(made, normalisation=replace(made.normalisation, **references))
    return LoadedRun({}, made, {"params": {"unused": np.zeros(1)}}, 0)


def atoms_of(n, seed):
    species, positions = molecule(n, seed)
    return Atoms(np.array([1, 6, 8])[species], positions)


@pytest.mark.parametrize("cutoff", [2.0, 9.0])
def test_energies_and_forces_are_those_of_the_calculator(cutoff):
    run = run_of(Springs(), cutoff=cutoff)
    with jax.enable_x64(True):
        atoms = atoms_of(7, seed=1)
        energy = energy_function(run, atoms)
        program = jax.jit(jax.value_and_grad(energy))
        for shift in (0.0, 1e5):
            atoms.positions += shift + 0.3 * np.random.default_rng(2).normal(size=(7, 3))
            atoms.calc = CompBenchCalculator(run)
            found, gradient = program(jnp.asarray(atoms.positions), neighbor=None)
            references = np.array([-13.0, -1030.0, -2040.0])[np.searchsorted([1, 6, 8], atoms.numbers)].sum()
            assert float(found) + references == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
            np.testing.assert_allclose(-gradient, atoms.get_forces(), atol=1e-6)
            assert np.abs(gradient).max() > 0.1


def test_it_says_what_it_cannot_do():
    with jax.enable_x64(True):
        with pytest.raises(CompBenchError, match="only molecules are supported"):
            energy_function(run_of(Springs()), Atoms("H2", np.eye(3)[:2], cell=[5, 5, 5], pbc=True))
        with pytest.raises(CompBenchError, match="contains Cl"):
            energy_function(run_of(Springs()), Atoms("HCl", np.eye(3)[:2]))
        with pytest.raises(CompBenchError, match="no gradient of its energy"):
            energy_function(run_of(Swirl(), direct=True), Atoms("H2", np.eye(3)[:2]))
    with pytest.raises(CompBenchError, match="needs 64-bit JAX"):
        energy_function(run_of(Springs()), Atoms("H2", np.eye(3)[:2]))


def test_jax_md_conserves_its_energy():
    jax_md = pytest.importorskip("jax_md", reason="needs jax-md")
    with jax.enable_x64(True):
        atoms = Atoms("C4", 2.3 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.6, 0.6, 1]]))
        energy = energy_function(run_of(LennardJones(), cutoff=20.0), atoms)
        _, shift = jax_md.space.free()
        init, step = jax_md.simulate.nve(energy, shift, dt=0.25 * units.fs)
        state = init(
            jax.random.key(0), jnp.asarray(atoms.positions), kT=100 * units.kB, mass=atoms.get_masses()[:, None]
        )

        def total(state):
            return float(
                energy(state.position) + jax_md.quantity.kinetic_energy(momentum=state.momentum, mass=state.mass)
            )

        first, start = total(state), state.position
        energies = []
        advance = jax.jit(lambda state: jax.lax.fori_loop(0, 100, lambda _, s: step(s), state))
        for _ in range(10):
            state = advance(state)
            energies.append(total(state))
        assert float(jnp.abs(state.position - start).max()) > 0.1
        assert max(abs(item - first) for item in energies) < 1e-5
