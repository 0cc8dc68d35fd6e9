import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import eval_legendre, spherical_jn

from compbench_jax.models.layers.angular import (
    legendre,
    spherical_bessel_basis,
    spherical_bessel_zeros,
    zonal_harmonics,
)

L, N = 7, 6


def by_scipy(x, derivative=False):
    """√2 / |j_(l+1)(z)| · j_l(z x), or its derivative."""
    z = spherical_bessel_zeros(L, N)
    degrees = np.arange(L)[:, None]
    norm = np.sqrt(2) / np.abs(spherical_jn(degrees + 1, z))
    values = spherical_jn(degrees, z * np.asarray(x)[:, None, None], derivative=derivative)
    return norm * values * (z if derivative else 1)


def test_zeros_are_zeros_in_order_and_none_is_missing():
    z = spherical_bessel_zeros(L, N)
    np.testing.assert_allclose(z[0], np.pi * np.arange(1, N + 1), rtol=1e-15)
    np.testing.assert_allclose(spherical_jn(np.arange(L)[:, None], z), 0, atol=1e-13)
    assert (np.diff(z, axis=1) > 0).all()
    for degree in range(L):
        grid = spherical_jn(degree, np.linspace(1e-3, z[degree, -1] + 1e-6, 20_000))
        assert np.count_nonzero(np.diff(np.sign(grid[np.abs(grid) > 1e-12]))) == N


def test_bessel_basis_in_double_precision():
    with jax.enable_x64(True):
        x = np.linspace(0, 1, 301)
        np.testing.assert_allclose(spherical_bessel_basis(jnp.asarray(x), L, N), by_scipy(x), atol=1e-11)


def test_bessel_basis_and_its_derivative_in_single_precision_down_to_zero():
    """The closed forms are off by more than the whole function below x = 0.1."""
    x = np.concatenate([[0.0, 1e-6, 1e-3], np.linspace(0.01, 0.999, 200)]).astype(np.float32)
    values = spherical_bessel_basis(jnp.asarray(x), L, N)
    np.testing.assert_allclose(values, by_scipy(x.astype(float)), atol=2e-4)
    slopes = jax.vmap(jax.jacfwd(lambda r: spherical_bessel_basis(r, L, N)))(jnp.asarray(x))
    np.testing.assert_allclose(slopes, by_scipy(x.astype(float), derivative=True), atol=2e-3)


@pytest.mark.parametrize(("degree", "n"), [(0, 0), (3, 2), (6, 5)])
def test_bessel_functions_are_orthonormal_in_the_unit_ball(degree, n):
    def function(x, k):
        return by_scipy([x])[0, degree, k]

    assert quad(lambda x: (x * function(x, n)) ** 2, 0, 1)[0] == pytest.approx(1, abs=1e-9)
    assert quad(lambda x: x * x * function(x, n) * function(x, (n + 1) % N), 0, 1)[0] == pytest.approx(0, abs=1e-9)


def test_bessel_basis_is_constant_beyond_the_cutoff():
    values = spherical_bessel_basis(jnp.asarray([1.0, 1.5, 100.0]), L, N)
    np.testing.assert_array_equal(values, np.broadcast_to(values[0], values.shape))


def test_legendre_polynomials():
    x = np.linspace(-1, 1, 41)
    with jax.enable_x64(True):
        values = legendre(jnp.asarray(x), 8)
    np.testing.assert_allclose(values, [eval_legendre(degree, x) for degree in range(8)], atol=1e-13)
    assert len(legendre(jnp.asarray(x), 1)) == 1


def test_zonal_harmonics_are_orthonormal_on_the_sphere():
    nodes, weights = np.polynomial.legendre.leggauss(16)
    with jax.enable_x64(True):
        values = zonal_harmonics(jnp.asarray(nodes), L)
    np.testing.assert_allclose(2 * np.pi * np.einsum("xi,xj,x->ij", values, values, weights), np.eye(L), atol=1e-12)
