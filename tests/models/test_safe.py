import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.layers.safe import safe_divide, safe_norm, unit_vectors

VECTORS = jnp.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0], [1e-3, 0.0, 0.0]])


def test_values():
    np.testing.assert_allclose(safe_norm(VECTORS), [5.0, 0.0, 1e-3], rtol=1e-6)
    np.testing.assert_allclose(safe_divide(jnp.array([6.0, 1.0]), jnp.array([3.0, 0.0])), [2.0, 0.0])
    directions, lengths = unit_vectors(VECTORS)
    np.testing.assert_allclose(directions, [[0.6, 0.8, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(lengths, [5.0, 0.0, 1e-3], rtol=1e-6)


def test_gradient_is_the_direction_and_zero_at_zero():
    gradient = jax.jit(jax.grad(lambda v: safe_norm(v).sum()))(VECTORS)
    np.testing.assert_allclose(gradient, [[0.6, 0.8, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], rtol=1e-6)


def test_second_derivatives_are_finite_at_zero():
    def smooth(vector):
        directions, length = unit_vectors(vector)
        return jnp.sin(length) + directions.sum() ** 2

    hessians = jax.jit(jax.vmap(jax.jacrev(jax.jacrev(smooth))))(VECTORS)
    assert np.isfinite(hessians).all()
    np.testing.assert_array_equal(hessians[1], 0)
