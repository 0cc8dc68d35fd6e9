"""The lean integrator and calculator against ASE's and tblite's own: equal to the last bit, not nearly."""

import numpy as np
import pytest

from compbench_jax.labelling.integrator import BAOAB
from compbench_jax.labelling.xtb_calculator import xtb_calculator
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule


def start(name, calculator, temperature=600.0):
    """Atoms with velocities, and the generator that the thermostat goes on with."""
    from ase import Atoms
    from ase.md.velocitydistribution import thermalize_momenta

    molecule = find_molecule(name)
    rng = np.random.default_rng(7)
    atoms = Atoms(molecular_graph(molecule).numbers, conformer(molecule, 3), calculator=calculator)
    thermalize_momenta(atoms, temperature, rng=rng)
    return atoms, rng


def trajectory(integrator, atoms, chunks):
    frames = []
    for steps in chunks:
        integrator.run(steps)
        frames.append(np.stack([atoms.positions, atoms.get_momenta(), atoms.get_forces()]))
    return np.array(frames)


@pytest.mark.parametrize("name", ["ethane", "propanoic acid"])
@pytest.mark.parametrize("method", ["GFN2-xTB", "GFN1-xTB"])
def test_trajectories_are_those_of_ase_and_tblite_to_the_last_bit(name, method):
    from ase import units
    from ase.md.langevinbaoab import LangevinBAOAB
    from tblite.ase import TBLite

    options = {"temperature_K": 300.0, "T_tau": 50 * units.fs}
    plain, rng = start(name, TBLite(method=method, accuracy=1.0, verbosity=0))
    expected = trajectory(LangevinBAOAB(plain, 0.5 * units.fs, rng=rng, **options), plain, (3, 7, 10))
    lean, rng = start(name, xtb_calculator(method, 1.0))
    found = trajectory(BAOAB(lean, 0.5 * units.fs, rng=rng, **options), lean, (3, 7, 10))
    np.testing.assert_array_equal(found, expected)
    assert np.ptp(found[:, 0], axis=0).max() > 0.01


def test_labels_are_those_of_tblite_to_the_last_bit():
    from ase import Atoms
    from tblite.ase import TBLite

    molecule = find_molecule("ethanol")
    numbers, positions = molecular_graph(molecule).numbers, conformer(molecule, 1)
    plain = Atoms(numbers, positions, calculator=TBLite(method="GFN2-xTB", accuracy=0.01, verbosity=0))
    lean = Atoms(numbers, positions, calculator=xtb_calculator("GFN2-xTB", 0.01))
    assert lean.get_potential_energy() == plain.get_potential_energy()
    np.testing.assert_array_equal(lean.get_forces(), plain.get_forces())


def test_nothing_is_computed_twice_and_nothing_old_is_returned():
    calculator = xtb_calculator("GFN2-xTB", 1.0)
    atoms, _ = start("ethane", calculator)
    first = atoms.get_forces()
    atoms.positions += 0.01 * first
    moved = atoms.get_forces(), atoms.get_potential_energy()
    last = calculator._res
    copy = atoms.get_forces()
    copy[:] = 0.0  # a caller may write into what it was given
    np.testing.assert_array_equal(atoms.get_forces(), moved[0])
    assert calculator._res is last
    again = atoms.copy()
    again.calc = xtb_calculator("GFN2-xTB", 1.0)
    np.testing.assert_allclose(again.get_forces(), moved[0], atol=1e-3)
    assert np.abs(moved[0] - first).max() > 0.05


def test_other_atoms_and_other_properties_take_the_long_way():
    from ase import Atoms

    calculator = xtb_calculator("GFN2-xTB", 1.0)
    atoms, _ = start("ethane", calculator)
    atoms.get_forces()
    atoms.positions[0] += 0.01
    atoms.get_forces()
    assert atoms.get_dipole_moment().shape == (3,)
    water = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], calculator=calculator)
    assert water.get_forces().shape == (3, 3)
    assert water.get_potential_energy() == pytest.approx(-137.97, abs=0.2)


def test_a_calculation_that_fails_says_so_and_is_not_remembered():
    from ase.calculators.calculator import CalculationFailed

    calculator = xtb_calculator("GFN2-xTB", 1.0)
    atoms, _ = start("ethane", calculator)
    good = atoms.get_potential_energy()
    kept = atoms.positions.copy()
    atoms.positions[:] = 0.0
    with pytest.raises(CalculationFailed):
        atoms.get_potential_energy()
    atoms.positions[:] = kept
    assert atoms.get_potential_energy() == pytest.approx(good, abs=1e-3)


def test_positions_and_half_step_velocities_do_not_depend_on_the_time_step():
    from ase import Atoms, units
    from ase.calculators.calculator import Calculator, all_changes

    class Wells(Calculator):
        """Each atom in a well of its own, (k/2) x²."""

        implemented_properties = ("energy", "forces")

        def calculate(self, atoms=None, properties=None, system_changes=all_changes):
            self.results = {"energy": 0.0, "forces": -stiffness * atoms.positions}

    n, temperature, time_step = 100, 300.0, 1.0 * units.fs
    atoms = Atoms(f"H{n}", np.zeros((n, 3)), calculator=Wells())
    atoms.set_momenta(np.zeros((n, 3)))
    mass = atoms.get_masses()[0]
    stiffness = mass * (1.0 / time_step) ** 2  # ω Δt = 1: a period of 6 fs
    dynamics = BAOAB(atoms, time_step, temperature_K=temperature, T_tau=10 * units.fs, rng=np.random.default_rng(1))
    dynamics.run(200)
    found = []
    for _ in range(300):
        dynamics.run(7)
        speeds = dynamics.half_step_velocities(), atoms.get_velocities()
        found.append([np.mean(atoms.positions**2) * stiffness, *(mass * np.mean(v**2) for v in speeds)])
    # 90,000 draws with a memory of a few steps: within 2% of the mean.
    expected = np.array([1.0, 1.0, 1.0 - 1.0 / 4]) * units.kB * temperature
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.02)
