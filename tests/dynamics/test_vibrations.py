"""Frequencies of molecules whose frequencies are known."""

import numpy as np
import pytest
from analytic import Springs, chain, engine
from ase.units import _amu, _c, _e

from compbench_jax.dynamics.minimise import BFGS, largest_force
from compbench_jax.dynamics.modes import modes, superposed_distance
from compbench_jax.dynamics.start import masses_of
from compbench_jax.dynamics.system import System
from compbench_jax.dynamics.vibrations import frequencies, mode_figures, rigid_motions
from compbench_jax.errors import DataError

TRIANGLE = np.array([[0.0, 0, 0], [1.1, 0, 0], [0.55, 1.1 * np.sqrt(0.75), 0]])


def wave_number(stiffness):
    """Of a mass of 1 u on a spring, eV/Å²: √(k/m) / 2πc in cm⁻¹."""
    return np.sqrt(stiffness * _e * 1e20 / _amu) / (2 * np.pi * _c * 100)


def test_a_diatomic_and_a_triangle_have_their_textbook_frequencies():
    made = engine(Springs(stiffness=30.0))
    graphs = [chain([6, 8]), chain([6, 6, 6])]
    system = System(made.potential, graphs)
    at = [TRIANGLE[:2], TRIANGLE]
    _, found = made.jacobians(system, np.concatenate(at))
    masses = [masses_of(graph) for graph in graphs]
    two = frequencies(-found[0], masses[0], at[0])
    assert two == pytest.approx([wave_number(30.0 / (masses[0].prod() / masses[0].sum()))], rel=1e-4)
    # Three equal masses on three equal springs: ω² = 3k/m once (breathing), 3k/2m twice.
    wanted = [wave_number(k * 30.0 / masses[1][0]) for k in (1.5, 1.5, 3.0)]
    np.testing.assert_allclose(frequencies(-found[1], masses[1], at[1]), wanted, rtol=1e-4)


def test_rigid_motions_are_six_five_or_three():
    masses = np.array([12.0, 1.0, 16.0])
    assert rigid_motions(masses, TRIANGLE).shape == (9, 6)
    assert rigid_motions(masses[:2], TRIANGLE[:2]).shape == (6, 5)
    assert rigid_motions(masses[:1], TRIANGLE[:1]).shape == (3, 3)


def test_imaginary_modes_are_negative_and_counted():
    hessian = np.zeros((6, 6))
    hessian[np.ix_([0, 3], [0, 3])] = [[-2.0, 2.0], [2.0, -2.0]]
    assert frequencies(hessian, np.ones(2), TRIANGLE[:2]) == pytest.approx([-wave_number(4.0)])
    figures = mode_figures(np.array([-40.0, -10.0, 500.0]), np.array([20.0, 30.0, 490.0]), 30.0)
    assert figures == {"frequency_mae": pytest.approx((60 + 40 + 10) / 3), "imaginary": 1}


def test_linear_against_bent_is_a_clear_line():
    masses, line = np.array([16.0, 12.0, 16.0]), np.outer(np.arange(3), [1.16, 0, 0])
    bent = line + [[0, 0.05, 0], [0, 0, 0], [0, 0, 0]]
    four, three = (frequencies(10.0 * np.eye(9), masses, at) for at in (line, bent))
    with pytest.raises(DataError, match="has 3 vibrations, the reference's 4: one is linear and the other bent"):
        mode_figures(three, four, 30.0)


def test_modes_of_a_molecule_that_is_linear_at_one_level_only_say_so(monkeypatch):
    made = engine(Springs(stiffness=30.0))
    line = np.outer(np.arange(3), [1.1, 0, 0])
    monkeypatch.setattr("compbench_jax.dynamics.modes.relax", lambda *_: ([line], np.array([True])))
    (found,) = modes(made, [chain([6, 6, 6])], [TRIANGLE], [30.0 * np.eye(9)])
    assert "one is linear and the other bent" in found["how"]
    assert "frequency_mae" not in found and (len(found["frequencies"]), len(found["reference_frequencies"])) == (4, 3)


def test_bfgs_finds_the_minimum_of_a_crooked_valley():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(12, 12))
    matrix = matrix @ matrix.T + np.diag(np.geomspace(1.0, 60.0, 12))
    minimum, at = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    search, steps = BFGS(4), 0
    while (force := largest_force(forces := -(matrix @ (at - minimum).ravel()).reshape(-1, 3))) > 1e-4 and steps < 300:
        at, steps = search.step(at, forces), steps + 1
    assert force <= 1e-4 and steps < 150
    np.testing.assert_allclose(at, minimum, atol=1e-3)


def test_modes_relax_and_compare_with_the_reference():
    made = engine(Springs(stiffness=30.0))
    graph = chain([6, 6, 6], [(0, 1), (0, 2), (1, 2)])
    system = System(made.potential, [graph])
    _, (jacobian,) = made.jacobians(system, TRIANGLE)
    stretched = TRIANGLE * 1.08
    (figures,) = modes(made, [graph], [stretched], [-1.21 * jacobian])
    assert figures["converged"] == 1 and figures["how"] is None
    assert figures["shift"] == pytest.approx(superposed_distance(stretched, TRIANGLE), abs=1e-3)
    wanted = 0.1 * np.array(figures["frequencies"]).mean()
    assert figures["frequency_mae"] == pytest.approx(wanted, rel=0.02)
    assert figures["imaginary"] == 0


def test_superposition_takes_out_turns_but_no_reflections():
    rng = np.random.default_rng(0)
    at = rng.normal(size=(6, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    assert superposed_distance(at, at @ turn + 3.0) == pytest.approx(0.0, abs=1e-6)
    assert superposed_distance(at, at * [1, 1, -1]) > 0.1
    assert superposed_distance(at, at * 1.1) > 0.01
