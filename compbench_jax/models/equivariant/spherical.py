"""Spherical harmonics and Clebsch-Gordan coefficients, in the conventions of e3nn.

Equivariant features of degree l have the parity (−1)^l of the spherical harmonics throughout, and are arrays
``[..., 2l + 1, channels]``. Components are in e3nn's order, with y as the polar axis: for l = 1 x, y, z; for l = 2 xz,
xy, 3y² − 1, yz, z² − x² (each with its factor). Channels are last so that every product is a loop over contiguous
memory. A feature of degrees 0 … L is a tuple of L + 1 such arrays.
"""

from functools import lru_cache

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np


def parity_irreps(l_max: int) -> e3nn.Irreps:
    """The irreps 0e + 1o + 2e + … up to ``l_max``."""
    return e3nn.Irreps.spherical_harmonics(l_max)


def spherical_harmonics(directions: jax.Array, l_max: int) -> tuple[jax.Array, ...]:
    """Real spherical harmonics of unit vectors ``[..., 3]``: for each l ≤ ``l_max`` an array ``[..., 2l + 1]``.

    Normalised by component, Σ_m Y_lm² = 2l + 1, as in e3nn. A zero vector has Y_0 = 1 and all others zero.
    """
    with jax.named_scope("harmonics"):
        harmonics = e3nn.spherical_harmonics(
            parity_irreps(l_max), directions, normalize=False, normalization="component"
        ).array
        return tuple(split_degrees(harmonics, l_max, axis=-1))


def split_degrees(values: jax.Array, l_max: int, axis: int) -> list[jax.Array]:
    """Cut an axis of length (l_max + 1)² into its degrees, of lengths 1, 3, 5, …"""
    return jnp.split(values, [(degree + 1) ** 2 for degree in range(l_max)], axis=axis)


@lru_cache
def clebsch_gordan(l1: int, l2: int, l3: int) -> np.ndarray:
    """Coefficients ``[2l1 + 1, 2l2 + 1, 2l3 + 1]`` such that Σ C² = 2l3 + 1: components of variance 1 stay so.

    This is e3nn's "component" normalisation, √(2l3 + 1) times its ``wigner_3j``.
    """
    coefficients = np.asarray(e3nn.clebsch_gordan(l1, l2, l3), np.float64)
    return np.sqrt(2 * l3 + 1) * coefficients / np.linalg.norm(coefficients)


def numpy_harmonics(directions: np.ndarray, l_max: int) -> np.ndarray:
    """Spherical harmonics of unit vectors in float64, ``[n, 3] -> [n, (l_max + 1)²]``: constants of a network.

    The same functions as :func:`spherical_harmonics`. Degree l is the part of degree l in the product of Y_(l−1) and
    the vector, scaled to be positive and of norm √(2l + 1) on the polar axis.
    """
    vectors = np.concatenate([np.asarray(directions, np.float64), [[0.0, 1.0, 0.0]]])
    degrees = [np.ones((len(vectors), 1))]
    for degree in range(1, l_max + 1):
        product = np.einsum("na,nb,abc->nc", degrees[-1], vectors, clebsch_gordan(degree - 1, 1, degree))
        degrees.append(product * (np.sqrt(2 * degree + 1) / product[-1, degree]))
    return np.concatenate(degrees, axis=1)[:-1]
