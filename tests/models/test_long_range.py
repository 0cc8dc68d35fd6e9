"""Repulsion, electrostatics and dispersion against the formulas, pair by pair in plain Python."""

import math

import jax
import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.models.free_atoms import free_atoms
from compbench_jax.models.long_range import (
    BOHR,
    COULOMB,
    FINE_STRUCTURE,
    HARTREE,
    Molecules,
    Repulsion,
    conserve_charge,
    dispersion,
    electrostatics,
    squared_distances,
    switch_off,
)

SIZES = (3, 2)
"""Nodes of two molecules; two nodes of padding lie on one point."""


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def molecules(seed=0):
    positions = np.random.default_rng(seed).normal(size=(7, 3)) * 2
    positions[5:] = 0
    return Molecules(positions, np.array([0, 0, 0, 1, 1, 2, 2]), np.array([*SIZES, 2, 0]))


def pairs():
    """Ordered pairs of atoms of one molecule."""
    starts = (0, 3)
    return [(a + i, a + j) for a, n in zip(starts, SIZES, strict=True) for i in range(n) for j in range(n) if i != j]


def distance(found, i, j):
    return float(np.linalg.norm(found.positions[i] - found.positions[j]))


def test_pairs_are_those_of_one_molecule():
    found = molecules()
    squares, together = jax.jit(squared_distances)(found)
    assert sorted(zip(*np.nonzero(np.asarray(together)), strict=True)) == sorted(pairs())
    for i, j in pairs():
        assert float(squares[i, j]) == pytest.approx(distance(found, i, j) ** 2, rel=1e-12)


def test_molecules_are_neutral():
    charges = jax.jit(conserve_charge)(np.arange(7.0), molecules())
    np.testing.assert_allclose(charges, [-1, 0, 1, -0.5, 0.5, -0.5, 0.5])


def test_electrostatics():
    found, charges = molecules(), np.array([0.3, -0.2, -0.1, 0.4, -0.4, 0.7, 0.7])
    energies = jax.jit(lambda: electrostatics(charges, *squared_distances(found), 4.0, 1000.0))()
    expected = np.zeros(7)
    for i, j in pairs():
        r = distance(found, i, j)
        expected[i] += 0.5 * COULOMB * float(charges[i] * charges[j]) * (math.erf(r / 4) / r - math.erf(250) / 1000)
    np.testing.assert_allclose(energies, expected, rtol=1e-12)
    assert abs(expected).max() > 1e-3


def test_dispersion():
    found, ratios = molecules(), np.array([0.9, 0.7, 1.1, 0.8, 0.6, 1.0, 1.0])
    numbers = [1, 6, 8, 6, 7, 1, 1]
    alphas, coefficients = (table.astype(float) for table in free_atoms(numbers))
    energies = jax.jit(lambda: dispersion(ratios, alphas, coefficients, *squared_distances(found), 1.2))()
    expected = np.zeros(7)
    for i, j in pairs():
        a, b = alphas[i] * ratios[i], alphas[j] * ratios[j]
        c, d = coefficients[i] * ratios[i] ** 2, coefficients[j] * ratios[j] ** 2
        c6, alpha = 2 * c * d / (b / a * c + a / b * d), (a + b) / 2
        radius = FINE_STRUCTURE ** (-4 / 21) * alpha ** (1 / 7)
        sigma = -0.00433008 + 0.24428889 * radius + 0.04125273 * radius**2 - 0.00078893 * radius**3
        gamma = 1 / (2 * sigma**2)
        r, p = distance(found, i, j) / BOHR, 1.2 * 5.08 * alpha ** (1 / 7)
        terms = [(c6, 6), (5 / gamma * c6, 8), (245 / 8 / gamma**2 * c6, 10)]
        expected[i] -= 0.5 * HARTREE * sum(c / (r**n + p**n) for c, n in terms)
    np.testing.assert_allclose(energies, expected, rtol=1e-12)
    assert (expected[:5] < -1e-5).all()


def test_repulsion_is_that_of_screened_nuclei_and_ends():
    lengths, cutoff = np.array([0.4, 0.9, 1.6, 0.0]), np.array([1.0, 0.9, 0.8, 0.0])
    z_i, z_j = np.array([1.0, 6.0, 6.0, 1.0]), np.array([8.0, 1.0, 8.0, 1.0])
    module = Repulsion()

    @jax.jit
    def compute():
        params = module.init(jax.random.key(0), lengths, cutoff, z_i, z_j)

        def total(r):
            energies = module.apply(params, r, cutoff, z_i, z_j)
            return energies.sum(), energies

        return jax.grad(total, has_aux=True)(lengths)

    gradient, energies = compute()
    assert np.isfinite(gradient).all()
    for k in range(2):
        r, x = float(lengths[k]), float(lengths[k]) / 1.5
        scaled = r * (float(z_i[k]) ** 0.23 + float(z_j[k]) ** 0.23) / (0.8854 * BOHR)
        factors = zip((0.1818, 0.5099, 0.2802, 0.02817), (3.2, 0.9423, 0.4028, 0.2016), strict=True)
        screening = sum(c * math.exp(-a * scaled) for c, a in factors) / 1.00007
        end = math.exp(-1 / (1 - x)) / (math.exp(-1 / (1 - x)) + math.exp(-1 / x))
        bare = COULOMB * float(cutoff[k] * z_i[k] * z_j[k]) / r
        assert float(energies[k]) == pytest.approx(0.5 * end * bare * screening, rel=1e-5)
    np.testing.assert_array_equal(energies[2:], 0)


def test_the_switch_is_smooth():
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(lambda r: switch_off(r, 1.5))))(
        np.array([0.0, 0.75, 1.5, 9.0])
    )
    np.testing.assert_allclose(values, [1, 0.5, 0, 0], atol=1e-9)
    np.testing.assert_allclose(slopes, [0, -4 / 3, 0, 0], atol=1e-9)


def test_elements_beyond_the_table():
    with pytest.raises(CompBenchError, match="no dispersion coefficients for atomic number 55"):
        free_atoms((1, 55))
