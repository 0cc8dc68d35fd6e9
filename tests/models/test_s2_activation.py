from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.sphere.edge_frame import degrees_first, orders_first, truncation_scale, wigner_matrices
from compbench_jax.models.sphere.s2_activation import grid_matrices, latitudes, on_grid, separable_activation


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


def features(l_max, n=3, channels=2):
    return jnp.asarray(np.random.default_rng(0).normal(size=(n, (l_max + 1) ** 2, channels)))


@pytest.mark.parametrize("gauss", [False, True])
@pytest.mark.parametrize("resolution", [6, 7, 18])
def test_latitudes_integrate_polynomials(resolution, gauss):
    heights, weights = latitudes(resolution, gauss)
    assert len(heights) == (resolution // 2 + 1 if gauss else resolution)
    for power in range(resolution):
        exact = 0 if power % 2 else 1 / (power + 1)
        np.testing.assert_allclose((weights * heights**power).sum(), exact, atol=1e-14)


@pytest.mark.parametrize(("l_max", "resolution", "gauss"), [(2, 6, False), (2, 8, True), (4, 18, False)])
def test_there_and_back(l_max, resolution, gauss):
    x = features(l_max)
    matrices = grid_matrices(degrees_first(l_max), l_max, l_max, resolution, gauss)
    np.testing.assert_allclose(on_grid(x, lambda v: v, matrices), x, atol=1e-13)


def test_values_have_variance_one():
    to_grid, _ = grid_matrices(degrees_first(3), 3, 3, 8)
    np.testing.assert_allclose((to_grid**2).sum(axis=1), 1)


def test_dropped_orders_are_made_up_for():
    """Both ways, so that what is left of degree l > m_max returns times (2l + 1)/(2 m_max + 1)."""
    components = orders_first(3, 1)
    to_grid, from_grid = grid_matrices(components, 3, 1, 8)
    np.testing.assert_allclose(from_grid @ to_grid, np.diag(truncation_scale(components, 1) ** 2), atol=1e-13)


@pytest.mark.parametrize("gauss", [False, True])
def test_error_falls_with_the_resolution(gauss):
    """Of SiLU on coefficients of variance one: 1e-3 on grids of 10 for degree 2, as on those of 18 for degree 4."""
    l_max, x = 2, np.asarray(features(2, n=8, channels=4))
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    blocks = jax.jit(wigner_matrices, static_argnums=1)(jnp.asarray(turn)[None], l_max)
    matrix = np.zeros((9, 9))
    for degree, block in enumerate(blocks):
        matrix[degree**2 : (degree + 1) ** 2, degree**2 : (degree + 1) ** 2] = block[0]

    def error(resolution):
        """Root mean square."""
        matrices = grid_matrices(degrees_first(l_max), l_max, l_max, resolution, gauss)
        activate = jax.jit(lambda x: on_grid(x, jax.nn.silu, matrices))
        return np.sqrt(np.mean(np.square(matrix @ activate(x) - activate(matrix @ x))))

    errors = [error(resolution) for resolution in (6, 10, 14, 18)]
    assert errors[0] > 1e-2, "even the coarsest grid is exact: the test would prove nothing"
    for coarse, fine in pairwise(errors):
        assert fine < coarse / 8
    assert errors[1] < 2e-3 and errors[3] < 1e-5


def test_scalars_have_their_own_way():
    x, scalars = features(2), jnp.asarray(np.random.default_rng(3).normal(size=(3, 2)))
    matrices = grid_matrices(degrees_first(2), 2, 2, 8)
    y = jax.jit(lambda *a: separable_activation(*a, matrices))(x, scalars)
    np.testing.assert_allclose(y[:, 0], jax.nn.silu(scalars))
    np.testing.assert_allclose(y[:, 1:], on_grid(x, jax.nn.silu, matrices)[:, 1:], atol=1e-14)
