import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import gaussian_params

from compbench_jax.models.layers.linear import (
    ElementDense,
    ElementLinear,
    EquivariantLinear,
    RadialMLP,
    ScaledDense,
    normalised_silu,
    normalised_tanh,
)


def features(channels=64, n=50):
    rng = np.random.default_rng(0)
    return tuple(rng.normal(size=(n, 2 * d + 1, channels)).astype(np.float32) for d in range(3))


@pytest.mark.parametrize("function", [normalised_silu, normalised_tanh])
def test_activation_has_unit_second_moment(function):
    z = np.linspace(-12, 12, 200001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    moment = np.sum(np.asarray(function(jnp.asarray(z)), np.float64) ** 2 * density) * (z[1] - z[0])
    np.testing.assert_allclose(moment, 1, rtol=1e-5)


def test_dense_is_divided_by_the_root_of_its_fan_in():
    module, x = ScaledDense(3), jnp.ones((1, 16))
    params = {"params": {"kernel": jnp.ones((16, 3))}}
    np.testing.assert_allclose(module.apply(params, x), 16 / 4 * np.ones((1, 3)))


def test_variance_is_kept():
    """Components of variance 1 stay so at the start, whatever the width: what the normalisation is for."""
    x = features()
    species = np.arange(50) % 3
    linear = EquivariantLinear(64, 2)
    element = ElementLinear(64, 2, 3)
    for out in (
        jax.jit(linear.init_with_output)(jax.random.key(0), x)[0],
        [y * 3**0.5 for y in jax.jit(element.init_with_output)(jax.random.key(1), x, species)[0]],
    ):
        for values in out:
            np.testing.assert_allclose(np.var(values), 1, rtol=0.2)


def test_element_linear_uses_the_weights_of_the_element():
    x, species = features(channels=4, n=6), np.array([0, 2, 1, 0, 2, 1])
    module = ElementLinear(5, 1, 3)
    params = gaussian_params(module, x, species)
    found = module.apply(params, x, species)
    assert len(found) == 2
    for degree, values in enumerate(found):
        kernel = np.asarray(params["params"][f"l{degree}"])[:, species].swapaxes(0, 1)
        expected = np.einsum("nmu,nuw->nmw", x[degree], kernel) / np.sqrt(12)
        np.testing.assert_allclose(values, expected, atol=1e-5)


def test_one_feature_is_mixed_as_many_are():
    x, species = features(channels=4, n=6), np.array([0, 2, 1, 0, 2, 1])
    kernel = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    one = ElementDense(5, 3).apply({"params": {"kernel": kernel}}, x[0], species)
    many = ElementLinear(5, 0, 3).apply({"params": {"l0": kernel}}, x, species)
    np.testing.assert_array_equal(one, many[0])


def test_radial_network_keeps_zero():
    module, x = RadialMLP((8, 8), 5), jnp.zeros((2, 4))
    params = gaussian_params(module, x)
    found = module.apply(params, x)
    np.testing.assert_array_equal(found, 0)
    assert np.abs(module.apply(params, x + 1)).max() > 0
