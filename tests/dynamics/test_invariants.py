"""Curl of a field known in closed form; extensivity and locality, kept and broken."""

import numpy as np
import pytest
from analytic import NORMALISATION, Crowd, Springs, Swirl, chain, engine, potential

from compbench_jax.dynamics.invariants import extensivity, far_atom, force_field_figures, locality
from compbench_jax.dynamics.system import System

RNG = np.random.default_rng(0)
GRAPHS = [chain([6, 1, 1]), chain([8, 1]), chain([6, 6, 8, 1, 1])]
POSITIONS = [RNG.normal(size=(graph.n_atoms, 3)) for graph in GRAPHS]


def jacobians(module, **options):
    made = engine(module, **options)
    system = System(made.potential, GRAPHS)
    return made, system, *made.jacobians(system, np.concatenate(POSITIONS))


def test_jacobians_of_a_batch_are_those_of_its_molecules():
    made, _, forces, found = jacobians(Springs())
    assert [matrix.shape for matrix in found] == [(9, 9), (6, 6), (15, 15)]
    for k, at in enumerate(POSITIONS):
        alone = System(made.potential, [GRAPHS[k]])
        wanted = np.zeros_like(found[k])
        for coordinate in range(at.size):
            pair = []
            for sign in (1, -1):
                moved = at.copy()
                moved.flat[coordinate] += sign * 1e-2
                pair.append(made.energy_and_forces(alone, moved)[1].ravel())
            wanted[:, coordinate] = (pair[0] - pair[1]) / 2e-2
        np.testing.assert_allclose(found[k], wanted, atol=0.05)
        np.testing.assert_allclose(forces[k], made.energy_and_forces(alone, at)[1], atol=1e-4)


def test_the_curl_of_a_gradient_is_zero_and_of_a_swirl_what_it_is():
    _, _, forces, found = jacobians(Springs())
    for f, j in zip(forces, found, strict=True):
        figures = force_field_figures(f, j)
        assert figures["curl"] < 1e-6 and figures["push"] < 1e-5
    _, _, forces, found = jacobians(Swirl(stiffness=2.0, twist=0.5), direct=True)
    for f, j in zip(forces, found, strict=True):
        # J = L ⊗ (k 1 + t Z) with a symmetric L: Z is antisymmetric, of norm √2 against 1's √3.
        assert force_field_figures(f, j)["curl"] == pytest.approx(0.5 * np.sqrt(2) / (2.0 * np.sqrt(3)), rel=1e-4)


def test_pushing_oneself_is_seen():
    push = force_field_figures(np.ones((4, 3)), np.eye(12))["push"]
    assert push == pytest.approx(2.0)


def molecules():
    return list(zip(GRAPHS, POSITIONS, strict=True))


def test_a_sum_over_near_neighbours_is_extensive_and_local():
    made = engine(Springs())
    for values in (*extensivity(made, molecules(), 5.0), *locality(made, molecules(), 5.0)):
        assert values["energy"] < 1e-2 and values["force"] < 1e-2 and values["distance"] >= 100.0
    assert [values["beside"] for values in locality(made, molecules()[:1], 5.0)] == ["H"]


def test_a_potential_that_counts_all_atoms_is_caught():
    made = engine(Crowd())
    assert all(values["energy"] > 1.0 and values["force"] > 1.0 for values in extensivity(made, molecules(), 5.0))


def test_the_far_atom_is_neon_where_it_is_known():
    from dataclasses import replace

    whole = potential(Springs())
    assert far_atom(whole) == 1
    with_neon = replace(NORMALISATION, elements=(6, 10), reference_energies=(0.0, 0.0))
    assert far_atom(replace(whole, normalisation=with_neon)) == 10
