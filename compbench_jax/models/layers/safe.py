"""Norms and divisions whose derivatives of every order stay finite at zero.

A padding edge has length zero, where the derivative of a norm does not exist. A single ``where`` does not help: its
gradient is 0 · NaN = NaN. The argument itself is replaced first (the "double where"), so that the branch not taken is
finite too.
"""

import jax
import jax.numpy as jnp


def safe_norm(vectors: jax.Array) -> jax.Array:
    """Euclidean norm over the last axis, ``[..., d] -> [...]``; zero, with zero derivatives, for a zero vector."""
    squares = jnp.sum(vectors * vectors, axis=-1)
    nonzero = squares > 0
    return jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, squares, 1)), 0)


def safe_divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """``numerator / denominator``, broadcast; zero, with zero derivatives, where the denominator is zero."""
    nonzero = denominator != 0
    return jnp.where(nonzero, numerator / jnp.where(nonzero, denominator, 1), 0)


def unit_vectors(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Directions ``[..., d]`` and lengths ``[...]`` of vectors; both zero for a zero vector."""
    lengths = safe_norm(vectors)
    return safe_divide(vectors, lengths[..., None]), lengths
