import dataclasses

import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling import dynamics
from compbench_jax.labelling.bonds import changed_bond
from compbench_jax.labelling.dynamics import run_segment, vibrational_temperature
from compbench_jax.labelling.levels import LEVELS
from compbench_jax.labelling.settings import PRESETS
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule

LEVEL = LEVELS["gfn2-xtb"]
SHORT = dataclasses.replace(PRESETS["mini"], equilibration=20.0)


@pytest.fixture(scope="module")
def ethane():
    return molecular_graph(find_molecule("ethane"))


def test_rigid_motion_has_no_temperature(ethane):
    from ase.data import atomic_masses

    rng = np.random.default_rng(0)
    positions, masses = conformer(ethane.molecule, 0), atomic_masses[ethane.numbers]
    velocities = rng.normal(size=3) + np.cross(rng.normal(size=3), positions)
    assert vibrational_temperature(positions, velocities, masses) == pytest.approx(0.0, abs=1e-9)


def test_maxwell_boltzmann_velocities_have_their_temperature(ethane):
    from ase import units
    from ase.data import atomic_masses

    rng = np.random.default_rng(0)
    positions, masses = conformer(ethane.molecule, 0), atomic_masses[ethane.numbers]
    scale = np.sqrt(units.kB * 300.0 / masses)[:, None]
    drawn = [vibrational_temperature(positions, rng.normal(size=(8, 3)) * scale, masses) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(300.0, abs=4 * 300 * np.sqrt(2 / (18 * 4000)))


def test_segment_is_reproducible_and_labelled_where_it_stands(ethane):
    first, again = (run_segment(ethane, LEVEL, SHORT, "primary", 0, 3) for _ in range(2))
    np.testing.assert_array_equal(first.positions, again.positions)
    np.testing.assert_array_equal(first.energy, again.energy)
    assert first.positions.dtype == np.float32 and first.time.tolist() == [10.0, 20.0, 30.0]
    energy, forces = LEVEL.label(ethane.numbers, first.positions[1].astype(np.float64))
    assert energy == first.energy[1]
    np.testing.assert_array_equal(forces.astype(np.float32), first.forces[1])
    other = run_segment(ethane, LEVEL, SHORT, "secondary", 0, 3)
    assert np.abs(other.positions - first.positions).max() > 0.01


def test_the_thermostat_holds_the_temperature(ethane):
    settings = dataclasses.replace(PRESETS["mini"], equilibration=100.0)
    drawn = np.concatenate([run_segment(ethane, LEVEL, settings, "primary", k, 20).temperature for k in range(4)])
    # Kinetic energy is forgotten in 25 fs, so about 32 independent samples of 18 degrees of freedom.
    assert drawn.mean() == pytest.approx(300.0, abs=4 * 300 * np.sqrt(2 / (18 * 32)))


def test_changed_bonds_are_seen(ethane):
    positions = conformer(ethane.molecule, 0)
    assert changed_bond(ethane, positions) is None
    torn = positions.copy()
    torn[0] += 2.0 * (positions[0] - positions[1])
    assert "broke" in changed_bond(ethane, torn)
    joined = positions.copy()
    hydrogens = [i for i in range(8) if ethane.numbers[i] == 1]
    joined[hydrogens[1]] = joined[hydrogens[0]] + [0.5, 0, 0]
    assert "formed" in changed_bond(ethane, joined) or "broke" in changed_bond(ethane, joined)


def test_rejected_trajectories_start_again_from_the_next_seed_and_are_recorded(ethane, monkeypatch):
    plain = run_segment(ethane, LEVEL, SHORT, "primary", 0, 2)
    answers = iter(["bond C0-C1 broke at 3.00 Å", None, "bond C0-H2 broke at 2.00 Å"])
    monkeypatch.setattr(dynamics, "changed_bond", lambda *_: next(answers, None))
    segment = run_segment(ethane, LEVEL, SHORT, "primary", 0, 2)
    assert [r["attempt"] for r in segment.rejected] == [0, 1]
    assert segment.rejected[0] == {
        "molecule": "ethane", "set": "primary", "segment": 0, "attempt": 0, "reason": "bond C0-C1 broke at 3.00 Å",
    }  # fmt: skip
    assert len(segment.energy) == 2 and np.abs(segment.positions - plain.positions).max() > 0.01


def test_hopeless_segments_are_an_error(ethane, monkeypatch):
    monkeypatch.setattr(dynamics, "changed_bond", lambda *_: "bond C0-C1 broke at 3.00 Å")
    with pytest.raises(CompBenchError, match="ethane, primary segment 0: 2 trajectories were rejected"):
        run_segment(ethane, LEVEL, dataclasses.replace(SHORT, max_attempts=2), "primary", 0, 1)
