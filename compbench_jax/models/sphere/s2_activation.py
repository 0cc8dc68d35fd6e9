"""Pointwise functions of signals on the sphere: from coefficients to values on a grid, and back.

EquiformerV2's S² activation (Liao et al. 2024, arXiv 2306.12059, section 4.2; Cohen et al. 2018, arXiv 1801.10130). The
coefficients x_lm of a signal are equivariant features; here they have the normalisation "component" of e3nn,

    f(r) = Σ_lm x_lm Y_lm(r) / √((2l + 1)(l_max + 1))    with ⟨Y_lm²⟩ = 1,

so that coefficients of variance 1 make values of variance 1.

The way back is a quadrature: exact for signals of degree below ``resolution − l_max``, and thus for the identity, but
not for a function such as SiLU that makes all degrees. This is the one step of the network that commutes with rotations
only approximately. The error falls exponentially with the resolution (``tests/models/test_s2_activation.py``).
"""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.equivariant.spherical import numpy_harmonics
from compbench_jax.models.sphere.edge_frame import truncation_scale


def latitudes(resolution: int, gauss: bool) -> tuple[np.ndarray, np.ndarray]:
    """Heights h on the polar axis and weights with Σ w p(h) = ½ ∫ p(h) dh for polynomials p of degree < ``resolution``.

    Either ``resolution`` equidistant angles (k + ½)π/n, h = cos, with the weights of Fejér's first rule, which for even
    n is the rule of Driscoll & Healy (1994) and that of e3nn; or Gauss's rule, with one node more than half as many.
    """
    if gauss:
        heights, weights = np.polynomial.legendre.leggauss(resolution // 2 + 1)
        return heights, weights / 2
    angles = (np.arange(resolution) + 0.5) * np.pi / resolution
    # The last term of an even rule is cos(n angle) = 0.
    orders = np.arange(1, resolution // 2 + 1)
    series = np.cos(2 * np.outer(angles, orders)) / (4 * orders**2 - 1)
    return np.cos(angles), (1 - 2 * series.sum(axis=1)) / resolution


@lru_cache
def grid_matrices(
    components: tuple[tuple[int, int], ...], l_max: int, m_max: int, resolution: int, gauss: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Matrices from coefficients to values ``[points, n]``, and back ``[n, points]``.

    The grid has ``resolution`` azimuths about y, from z towards x, at each of its latitudes, as e3nn's.

    Args:
        components: degree and order (l, m) of each coefficient.
        l_max: largest degree, for the normalisation.
        m_max: largest order present; degrees above it are scaled by :func:`truncation_scale` both ways.
        resolution: of the grid, at least 2 (l_max + 1).
        gauss: choose the latitudes by Gauss's rule, see :func:`latitudes`.
    """
    heights, weights = latitudes(resolution, gauss)
    azimuth = 2 * np.pi * np.arange(resolution) / resolution
    sine = np.sqrt(1 - heights**2)[:, None]
    points = np.stack(
        [sine * np.sin(azimuth), heights[:, None] * np.ones_like(azimuth), sine * np.cos(azimuth)], axis=-1
    )
    index = [degree * degree + degree + m for degree, m in components]
    values = numpy_harmonics(points.reshape(-1, 3), l_max)[:, index]
    norms = np.array([np.sqrt((2 * degree + 1) * (l_max + 1)) for degree, _ in components])
    scale = truncation_scale(components, m_max)
    measure = np.repeat(weights / resolution, resolution)[:, None]
    return values / norms * scale, (measure * values * norms * scale).T


def on_grid(x: jax.Array, function: Callable[[jax.Array], jax.Array], matrices: tuple[np.ndarray, ...]) -> jax.Array:
    """Apply a function of ``[..., channels]`` to the values of signals ``[n, components, channels]`` at each point."""
    to_grid, from_grid = (jnp.asarray(matrix, x.dtype) for matrix in matrices)
    n, _, channels = x.shape
    # Components first: each way is then one product with a matrix of n · channels columns, twice as fast on a CPU.
    values = to_grid @ x.swapaxes(0, 1).reshape(-1, n * channels)
    values = function(values.reshape(-1, n, channels))
    return (from_grid @ values.reshape(-1, n * values.shape[-1])).reshape(-1, n, values.shape[-1]).swapaxes(0, 1)


def separable_activation(x: jax.Array, scalars: jax.Array, matrices: tuple[np.ndarray, ...]) -> jax.Array:
    """S² activation with scalars of their own (eq. 2 of EquiformerV2).

    Args:
        x: signals ``[n, components, channels]``, the first component of degree 0.
        scalars: ``[n, channels]``; their SiLU is the component of degree 0 of the result.
        matrices: of :func:`grid_matrices`.
    """
    to_grid, from_grid = matrices
    # The values on the grid take many times the memory of the coefficients: better computed again than kept.
    activate = jax.checkpoint(lambda x: on_grid(x, jax.nn.silu, (to_grid, from_grid[1:])))
    vectors = activate(x)
    return jnp.concatenate([jax.nn.silu(scalars)[:, None], vectors], axis=1)
