"""Rotation of equivariant features into the frame of an edge, where the direction of the edge is the y axis.

In that frame every equivariant linear map that depends on the direction alone is a convolution over the angle about y,
blocks of size 1 and 2 by order m (Passaro & Zitnick 2023, eSCN, arXiv 2302.03655, section 3). e3nn's polar axis is y.

A frame is fixed up to a turn about the edge (its *gauge*), and no choice of it is continuous on the whole sphere. Here
it is the smallest rotation that takes the direction to y, or, for directions near −y where that one is singular, the
smallest one after half a turn about x. Each is a rational function of the direction without a root or an angle, so
its derivatives of every order are right and finite everywhere, at the poles and for the zero vector of a padding edge.
What is computed in the frame must not depend on the gauge; :mod:`compbench_jax.models.sphere.so2` does not.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.equivariant.spherical import clebsch_gordan

SWITCH = -0.6
"""y component below which the second rotation is used. Angles of common molecules (−1, −1/2, −1/3, 0) are avoided."""


@lru_cache
def orders_first(l_max: int, m_max: int) -> tuple[tuple[int, int], ...]:
    """Components (l, m) with |m| ≤ ``m_max``, sorted by order: (·, 0), (·, 1), (·, −1), (·, 2), (·, −2) …"""
    signed = [0] + [sign * m for m in range(1, m_max + 1) for sign in (1, -1)]
    return tuple((degree, m) for m in signed for degree in range(abs(m), l_max + 1))


def degrees_first(l_max: int) -> tuple[tuple[int, int], ...]:
    """All components (l, m) sorted by degree, as features of nodes are."""
    return tuple((degree, m) for degree in range(l_max + 1) for m in range(-degree, degree + 1))


def frame_rotations(directions: jax.Array) -> jax.Array:
    """Rotations ``[n, 3, 3]`` that take unit vectors ``[n, 3]`` to the y axis."""
    first = directions[:, 1] > SWITCH
    half_turn = jnp.where(first[:, None], 1, jnp.asarray([1, -1, -1])).astype(directions.dtype)
    turned = directions * half_turn
    x, y, z = turned[:, 0], turned[:, 1], turned[:, 2]
    inverse = 1 / (1 + y)
    rows = [
        [1 - x * x * inverse, -x, -x * z * inverse],
        [x, y, z],
        [-x * z * inverse, -z, 1 - z * z * inverse],
    ]
    rotations = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    return rotations * half_turn[:, None, :]


def wigner_matrices(rotations: jax.Array, l_max: int) -> list[jax.Array]:
    """Matrices ``[n, 2l + 1, 2l + 1]`` that turn features of degree l = 0 … ``l_max`` by rotations ``[n, 3, 3]``.

    Degree l is the part of degree l in the product of degree l − 1 with a vector, so its matrix is a polynomial in the
    entries of the rotation: D^l = C (D^(l−1) ⊗ R) Cᵀ with C the Clebsch-Gordan coefficients.
    """
    matrices = [jnp.ones((rotations.shape[0], 1, 1), rotations.dtype), rotations]
    for degree in range(2, l_max + 1):
        coefficients = jnp.asarray(clebsch_gordan(degree - 1, 1, degree), rotations.dtype)
        half = jnp.einsum("ija,nik->najk", coefficients, matrices[-1])
        half = jnp.einsum("najk,njm->nakm", half, rotations)
        matrices.append(jnp.einsum("nakm,kmb->nab", half, coefficients))
    return matrices[: l_max + 1]


def edge_frames(directions: jax.Array, l_max: int, m_max: int) -> jax.Array:
    """Matrices ``[n_edge, n, (l_max + 1)²]`` that take features into the frame of each edge.

    Args:
        directions: unit vectors of the edges ``[n_edge, 3]``; zero for padding edges.
        l_max: largest degree of the features, whose components are sorted by degree.
        m_max: largest order kept; the n components of the result are those of :func:`orders_first`.
    """
    matrices = wigner_matrices(frame_rotations(directions), l_max)
    n_edge, size = directions.shape[0], (l_max + 1) ** 2
    rows = []
    for degree, matrix in enumerate(matrices):
        before = degree**2
        rows.append(jnp.pad(matrix, ((0, 0), (0, 0), (before, size - before - matrix.shape[-1]))))
    index = np.array([degree * degree + degree + m for degree, m in orders_first(l_max, m_max)])
    return jnp.concatenate(rows, axis=1).reshape(n_edge, size, size)[:, index]


@lru_cache
def truncation_scale(components: tuple[tuple[int, int], ...], m_max: int) -> np.ndarray:
    """Factors √((2l + 1)/(2 m_max + 1)) of components of degree l > ``m_max``, else 1.

    They make up for the orders |m| > ``m_max`` that were dropped, so that a component of the result keeps its variance.
    """
    return np.array([np.sqrt(max(1.0, (2 * degree + 1) / (2 * m_max + 1))) for degree, _ in components])
