import jax
import numpy as np
import pytest

from compbench_jax.models.layers.orthogonal import glorot_orthogonal, he_orthogonal, orthogonal


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (4, 1)])
def test_the_shorter_axis_is_orthonormal(shape):
    q = orthogonal(np.random.default_rng(0), *shape)
    assert q.shape == shape
    gram = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_glorot_variance_and_orthogonality():
    kernel = np.asarray(glorot_orthogonal(jax.random.key(0), (64, 32)))
    assert kernel.var() == pytest.approx(2 / 96, rel=1e-5)
    gram = kernel.T @ kernel
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(32), atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 32), (7, 6, 16), (16, 64)])
def test_he_columns_have_mean_zero_and_variance_one_over_inputs(shape):
    kernel = np.asarray(he_orthogonal(jax.random.key(0), shape)).reshape(-1, shape[-1])
    np.testing.assert_allclose(kernel.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(kernel.var(axis=0, ddof=1), 1 / len(kernel), rtol=1e-3)


def test_a_function_of_the_key_alone_under_every_transformation():
    kernel = glorot_orthogonal(jax.random.key(3), (6, 4))
    np.testing.assert_array_equal(kernel, jax.jit(lambda key: glorot_orthogonal(key, (6, 4)))(jax.random.key(3)))
    keys = jax.random.split(jax.random.key(0), 3)
    several = jax.jit(jax.vmap(lambda key: glorot_orthogonal(key, (6, 4))))(keys)
    np.testing.assert_array_equal(several[1], glorot_orthogonal(keys[1], (6, 4)))
    assert np.abs(several[0] - several[1]).max() > 0.1
