import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.layers.radial import bessel_basis, cosine_cutoff, gaussian_basis, polynomial_envelope

CUTOFF = 5.0
LENGTHS = np.array([0.3, 1.0, 2.7, 4.9, 5.0, 6.0])


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def test_bessel_against_the_formula():
    n = np.arange(1, 9)
    expected = np.sqrt(2 / CUTOFF) * np.sin(n * np.pi * LENGTHS[:, None] / CUTOFF) / LENGTHS[:, None]
    np.testing.assert_allclose(bessel_basis(jnp.array(LENGTHS), CUTOFF, 8), expected, atol=1e-12)


def test_bessel_functions_are_orthonormal():
    """∫ b_n b_m r² dr = δ_nm over the sphere: what sets the factor √(2/c)."""
    r = (np.arange(4000) + 0.5) * CUTOFF / 4000
    basis = np.asarray(bessel_basis(jnp.array(r), CUTOFF, 6))
    overlap = (basis * (r**2)[:, None]).T @ basis * CUTOFF / 4000
    np.testing.assert_allclose(overlap, np.eye(6), atol=1e-5)


def test_gaussians_against_the_formula():
    centres = np.linspace(0, CUTOFF, 21)
    expected = np.exp(-((LENGTHS[:, None] - centres) ** 2) / (2 * 0.25**2))
    np.testing.assert_allclose(gaussian_basis(jnp.array(LENGTHS), CUTOFF, 21), expected, rtol=1e-12)


def test_cosine_cutoff_against_the_formula():
    expected = np.where(LENGTHS < CUTOFF, 0.5 * (np.cos(np.pi * LENGTHS / CUTOFF) + 1), 0)
    np.testing.assert_allclose(cosine_cutoff(jnp.array(LENGTHS), CUTOFF), expected, atol=1e-15)


@pytest.mark.parametrize("p", [5, 6])
def test_envelope_against_the_formula(p):
    x = LENGTHS / CUTOFF
    full = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
    expected = np.where(x < 1, full, 0)
    np.testing.assert_allclose(polynomial_envelope(jnp.array(LENGTHS), CUTOFF, p), expected, atol=1e-12)


@pytest.mark.parametrize(("function", "order"), [(cosine_cutoff, 1), (polynomial_envelope, 2)])
def test_cutoff_functions_join_zero_smoothly(function, order):
    """Value and derivatives up to ``order`` vanish just inside the cutoff, so they are continuous across it."""
    derivative = lambda r: function(r, CUTOFF)  # noqa: E731
    for _ in range(order + 1):
        np.testing.assert_allclose(derivative(jnp.array(CUTOFF - 1e-7)), 0, atol=1e-5)
        np.testing.assert_array_equal(derivative(jnp.array(CUTOFF + 1e-7)), 0)
        derivative = jax.jit(jax.grad(derivative))
    assert abs(derivative(jnp.array(CUTOFF - 1e-7))) > 1e-2, "smoother than documented: the test is too weak"


@pytest.mark.parametrize("function", [cosine_cutoff, polynomial_envelope])
def test_cutoff_functions_fall_from_one_to_zero(function):
    values = np.asarray(function(jnp.linspace(1e-6, CUTOFF, 200), CUTOFF))
    np.testing.assert_allclose(values[[0, -1]], [1, 0], atol=1e-9)
    assert (np.diff(values) <= 1e-12).all()


@pytest.mark.parametrize("function", [cosine_cutoff, polynomial_envelope])
def test_padding_edges_carry_nothing(function):
    """An edge of length zero has weight zero with derivatives zero."""
    value, slope = jax.jit(jax.value_and_grad(lambda r: function(r, CUTOFF)))(jnp.array(0.0))
    assert value == 0 and slope == 0


def test_bessel_derivatives_are_finite_at_zero():
    second = jax.jit(jax.jacfwd(jax.jacrev(lambda r: bessel_basis(r, CUTOFF, 4))))(jnp.array(0.0))
    np.testing.assert_array_equal(second, 0)
