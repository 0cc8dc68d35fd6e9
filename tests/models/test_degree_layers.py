import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.sphere.degree_layers import EPSILON, DegreeLinear, SeparableLayerNorm


def features(seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(4, 9, 6)), jnp.float32)


def test_separable_layer_norm():
    """Degree 0 by its mean and variance over channels, all others by one number a node."""
    x = features()
    module = SeparableLayerNorm(2)
    params = jax.jit(module.init)(jax.random.key(0), x)
    params["params"]["weight"] = jnp.stack([jnp.full(6, 2.0), jnp.full(6, 3.0)])
    y = jax.jit(module.apply)(params, x)
    scalars = np.asarray(x[:, 0])
    expected = (scalars - scalars.mean(axis=1, keepdims=True)) / np.sqrt(scalars.var(axis=1, keepdims=True) + EPSILON)
    np.testing.assert_allclose(y[:, 0], expected, atol=1e-5)
    square = 0.5 * ((x[:, 1:4] ** 2).mean(axis=(1, 2)) + (x[:, 4:] ** 2).mean(axis=(1, 2)))
    norm = np.sqrt(square + EPSILON)[:, None, None]
    np.testing.assert_allclose(y[:, 1:4], 2 * x[:, 1:4] / norm, rtol=1e-5)
    np.testing.assert_allclose(y[:, 4:], 3 * x[:, 4:] / norm, rtol=1e-5)


def test_layer_norm_of_zero_is_finite():
    module, zero = SeparableLayerNorm(2), jnp.zeros((1, 9, 6))
    params = jax.jit(module.init)(jax.random.key(0), zero)
    derivatives = jax.jit(jax.jacfwd(jax.grad(lambda x: (module.apply(params, x) ** 3).sum())))(zero)
    assert np.isfinite(derivatives).all()


def test_degree_linear_mixes_channels_of_a_degree_only():
    x = features()
    module = DegreeLinear(5, 2)
    params = jax.jit(module.init)(jax.random.key(0), x)
    params["params"]["bias"] = jnp.full(5, 7.0)
    kernel = params["params"]["kernel"]
    y = jax.jit(module.apply)(params, x)
    np.testing.assert_allclose(y[:, 0], x[:, 0] @ kernel[0] + 7, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y[:, 2], x[:, 2] @ kernel[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(y[:, 8], x[:, 8] @ kernel[2], rtol=1e-4, atol=1e-5)
    assert np.abs(kernel).max() < 6**-0.5
