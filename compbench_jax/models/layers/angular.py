"""Bases of distance and angle: spherical Bessel functions j_l and Legendre polynomials P_l.

Together they solve the wave equation inside the cutoff sphere (Gasteiger et al. 2020, arXiv 2003.03123, section 6).
Angles enter by their cosine, the product of two unit vectors, never by an arc cosine: everything here is a polynomial
in the positions' directions and lengths, with finite derivatives of every order at 0° and 180° and at length zero.
"""

from functools import lru_cache, partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq
from scipy.special import spherical_jn


def legendre(cosines: jax.Array, n: int) -> list[jax.Array]:
    """P_0 … P_(n−1) at ``cosines [...]``, by l P_l = (2l − 1) x P_(l−1) − (l − 1) P_(l−2)."""
    values = [jnp.ones_like(cosines), cosines]
    for degree in range(2, n):
        values.append(((2 * degree - 1) * cosines * values[-1] - (degree - 1) * values[-2]) / degree)
    return values[:n]


def zonal_harmonics(cosines: jax.Array, n: int, axis: int = -1) -> jax.Array:
    """Y_l⁰ = √((2l + 1) / 4π) P_l for l = 0 … n − 1, stacked along a new ``axis``."""
    values = legendre(cosines, n)
    return jnp.stack([((2 * degree + 1) / (4 * np.pi)) ** 0.5 * p for degree, p in enumerate(values)], axis)


@lru_cache
def spherical_bessel_zeros(n_spherical: int, n_radial: int) -> np.ndarray:
    """The first positive zeros z_ln of j_l, float64 ``[n_spherical, n_radial]``; those of j_0 are nπ.

    Between two neighbouring zeros of j_(l−1) there is exactly one of j_l, which brackets them degree by degree.
    """
    zeros = np.pi * np.arange(1, n_radial + n_spherical)
    rows = [zeros]
    for degree in range(1, n_spherical):
        function = partial(spherical_jn, degree)
        zeros = np.array([brentq(function, low, high, xtol=1e-14) for low, high in pairwise(zeros)])
        rows.append(zeros)
    return np.stack([row[:n_radial] for row in rows])


@lru_cache
def _chebyshev_coefficients(n_spherical: int, n_radial: int) -> np.ndarray:
    """Coefficients of the basis in T_0 … T_(2^m), float64 ``[2^m + 1, n_spherical · n_radial]``."""
    zeros = spherical_bessel_zeros(n_spherical, n_radial)
    degrees = np.arange(n_spherical)[:, None]
    norms = np.sqrt(2.0) / np.abs(spherical_jn(degrees + 1, zeros))
    # Coefficients fall off faster than exponentially once the degree exceeds the largest zero.
    order = 2 ** int(np.ceil(np.log2(zeros.max() + 30)))
    angles = np.pi * (np.arange(2 * order) + 0.5) / (2 * order)
    nodes = np.cos(angles)
    # j_l(−x) = (−1)^l j_l(x), which scipy does not know.
    values = norms * spherical_jn(degrees, zeros * np.abs(nodes)[:, None, None])
    values = values * np.where(nodes[:, None, None] < 0, (-1.0) ** degrees, 1.0)
    cosines = np.cos(np.arange(order + 1)[:, None] * angles)
    coefficients = cosines @ values.reshape(len(nodes), -1) / order
    coefficients[0] /= 2
    return coefficients


def spherical_bessel_basis(x: jax.Array, n_spherical: int, n_radial: int) -> jax.Array:
    """Normalised spherical Bessel functions on [0, 1], ``[...] -> [..., n_spherical, n_radial]``.

    f_ln(x) = √2 / |j_(l+1)(z_ln)| · j_l(z_ln x) for n = 1 …, of unit norm: ∫ f² x² dx = 1 over [0, 1]
    (Gasteiger et al. 2020, arXiv 2003.03123, eq. 6, with x = d / c and without its c^(−3/2)). Beyond 1: constant.

    Summed as a Chebyshev series. The closed forms in sines, cosines and powers of 1/x lose all digits in float32 for
    small x and large l (j_6 to 7 in 10 digits at x = 0.1), and so do their derivatives; the series is a polynomial.
    """
    x = jnp.minimum(x, 1.0)
    coefficients = _chebyshev_coefficients(n_spherical, n_radial)
    # T_(m+k) = 2 T_m T_k − T_(m−k): twice as many polynomials by each step.
    series = jnp.stack([jnp.ones_like(x), x], -1)
    while series.shape[-1] < len(coefficients):
        last = series[..., -1:]
        series = jnp.concatenate([series, 2 * last * series[..., 1:] - series[..., -2::-1]], -1)
    values = series @ jnp.asarray(coefficients, x.dtype)
    return values.reshape(*x.shape, n_spherical, n_radial)
