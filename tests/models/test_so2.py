import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.sphere.edge_frame import orders_first
from compbench_jax.models.sphere.so2 import SO2Convolution, n_radial_weights

L_MAX, M_MAX, CHANNELS = 3, 2, 3


def turn_about_y(angle):
    """Matrix of a turn about the polar axis on features sorted by order: (x_m, x_−m) turn by m times the angle."""
    components = orders_first(L_MAX, M_MAX)
    matrix = np.zeros((len(components), len(components)))
    for i, (degree, m) in enumerate(components):
        matrix[i, i] = np.cos(m * angle)
        if m:
            matrix[i, components.index((degree, -m))] = np.sin(m * angle)
    return matrix


@pytest.fixture(scope="module")
def convolution():
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = rng.normal(size=(4, len(orders_first(L_MAX, M_MAX)), CHANNELS))
        weights = rng.normal(size=(4, n_radial_weights(L_MAX, M_MAX, CHANNELS)))
        module = SO2Convolution(L_MAX, M_MAX, features=5, extra=2)
        params = jax.jit(module.init)(jax.random.key(0), x, weights)
        compiled = jax.jit(module.apply)
    return params, compiled, x, weights


def apply(convolution, x, weights):
    params, compiled, _, _ = convolution
    with jax.enable_x64(True):
        return tuple(np.asarray(values) for values in compiled(params, jnp.asarray(x), jnp.asarray(weights)))


def test_commutes_with_turns_about_the_edge(convolution):
    _, _, x, weights = convolution
    y, invariants = apply(convolution, x, weights)
    assert y.shape == (4, 14, 5) and invariants.shape == (4, 2)
    assert np.abs(y).min(axis=(0, 2)).min() > 0
    turn = turn_about_y(0.7)
    turned, same = apply(convolution, turn @ x, weights)
    np.testing.assert_allclose(turned, turn @ y, atol=1e-12)
    np.testing.assert_allclose(same, invariants, atol=1e-12)


def test_does_not_commute_with_mirrors(convolution):
    _, _, x, weights = convolution
    mirror = np.array([-1.0 if m < 0 else 1.0 for _, m in orders_first(L_MAX, M_MAX)])[:, None]
    assert np.abs(apply(convolution, mirror * x, weights)[0] - mirror * apply(convolution, x, weights)[0]).max() > 0.1


def test_orders_do_not_mix(convolution):
    """And each factor acts on one degree and channel of |m|."""
    _, _, x, weights = convolution
    y, _ = apply(convolution, x, weights)
    only = np.zeros_like(weights)
    start = CHANNELS * (L_MAX + 1)
    only[:, start : start + CHANNELS * L_MAX] = weights[:, start : start + CHANNELS * L_MAX]
    single, _ = apply(convolution, x, only)
    orders = np.array([abs(m) for _, m in orders_first(L_MAX, M_MAX)])
    np.testing.assert_allclose(single[:, orders == 1], y[:, orders == 1], atol=1e-12)
    np.testing.assert_array_equal(single[:, orders == 2], 0)
    np.testing.assert_allclose(single[:, orders == 0], 0, atol=1e-12)


def test_number_of_weights():
    assert n_radial_weights(4, 2, 256) == 256 * (5 + 4 + 3)
