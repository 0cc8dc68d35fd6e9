import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.equivariant.spherical import clebsch_gordan, spherical_harmonics


def directions(n=20):
    vectors = np.random.default_rng(0).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_components_are_normalised():
    for degree, y in enumerate(jax.jit(lambda v: spherical_harmonics(v, 3))(directions())):
        assert y.shape == (20, 2 * degree + 1)
        np.testing.assert_allclose((y**2).sum(axis=1), 2 * degree + 1, rtol=1e-5)


def test_components_come_in_the_documented_order():
    unit = directions()
    x, y, z = unit.T
    zero, one, two = jax.jit(lambda v: spherical_harmonics(v, 2))(unit)
    np.testing.assert_allclose(zero, 1)
    np.testing.assert_allclose(one, np.sqrt(3) * unit, rtol=1e-5)
    wanted = np.stack([x * z, x * y, (3 * y**2 - 1) / (2 * np.sqrt(3)), y * z, (z**2 - x**2) / 2], axis=-1)
    np.testing.assert_allclose(two, np.sqrt(15) * wanted, atol=1e-5)
    # A scalar times a vector is that vector, in the same order.
    np.testing.assert_allclose(clebsch_gordan(0, 1, 1)[0], np.eye(3), atol=1e-7)


def test_zero_vector():
    def total(vectors):
        return sum((y**2).sum() + y.sum() for y in spherical_harmonics(vectors, 3))

    vectors = jnp.zeros((1, 3))
    values = jax.jit(lambda v: spherical_harmonics(v, 3))(vectors)
    assert [np.abs(y).max() for y in values] == [1, 0, 0, 0]
    assert np.isfinite(jax.jit(jax.jacrev(jax.grad(total)))(vectors)).all()


@pytest.mark.parametrize("path", [(0, 2, 2), (1, 1, 0), (1, 1, 2), (2, 1, 1), (2, 2, 2), (3, 2, 1)])
def test_clebsch_gordan_is_normalised_and_couples(path):
    """C is invariant: rotating both factors rotates the product."""
    coefficients = clebsch_gordan(*path)
    assert coefficients.shape == tuple(2 * degree + 1 for degree in path)
    np.testing.assert_allclose((coefficients**2).sum(), 2 * path[2] + 1, rtol=1e-6)
    angles = (0.3, 1.1, -0.7)
    matrices = [np.asarray(e3nn.Irrep(degree, 1).D_from_angles(*angles)) for degree in path]
    turned = np.einsum("abc,ai,bj,ck->ijk", coefficients, *matrices)
    np.testing.assert_allclose(turned, coefficients, atol=1e-5)
