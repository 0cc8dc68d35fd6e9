"""Radial functions of a trained potential as tables: cubic polynomials of the distance in place of a network.

A table holds the four coefficients of each of many short intervals of the distance, such that value and slope are those
of the network at both ends (cubic Hermite interpolation): energies have continuous forces. Tables are a collection of
variables next to the parameters, ``{"params": …, "tables": …}``; a layer that finds its table there does without its
radial network.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.equivariant.backend import computed_by

TABLES = "tables"
"""Collection of the tables."""

NAME = "radial"
"""Of the table of a layer."""

INTERVALS = 4096
"""From distance zero to the cutoff. Forces of SchNet are then within 2e-7 eV/Å of those of its network."""

SHORTEST = 1e-3
"""Å, in place of distance zero, which only padding has."""


def radial_weights(layer: nn.Module, weights: jax.Array, lengths: jax.Array, cutoff: float) -> jax.Array:
    """Weights of the pairs as the layer's radial network has computed them, or from its table if there is one.

    Args:
        layer: that has the network.
        weights: of the network, ``[n_pair, channels]``, zero beyond the cutoff. With a table nothing uses them, and the
            compiler leaves the network out.
        lengths: of the pairs, Å ``[n_pair]``; zero for padding.
        cutoff: Å.
    """
    if not layer.has_variable(TABLES, NAME):
        if not layer.is_initializing():  # kept if tables are being made
            layer.sow(TABLES, NAME, weights, reduce_fn=lambda _, new: new, init_fn=lambda: None)
        return weights
    with jax.named_scope("radial_table"):
        table: jax.Array = layer.get_variable(TABLES, NAME)
        place = lengths * (len(table) / cutoff)
        row = jnp.clip(place.astype(jnp.int32), 0, len(table) - 1)
        t = (place - row)[:, None]
        a, b, c, d = (table[row, k] for k in range(4))
        inside = (lengths > 0) & (lengths < cutoff)
        return jnp.where(inside[:, None], a + t * (b + t * (c + t * d)), 0.0)


def tabulated(network: nn.Module, params: Mapping[str, Any], cutoff: float, intervals: int = INTERVALS) -> Any:
    """The variables of a network with tables of the layers that call :func:`radial_weights`.

    Args:
        network: called as in :class:`compbench_jax.models.potential.Potential`.
        params: its variables; the tables are made in float64 and kept in their precision.
        cutoff: Å.
        intervals: of a table.
    """
    dtype = jax.tree.leaves(params)[0].dtype
    width = cutoff / intervals
    with jax.enable_x64(True), computed_by("plain"):
        exact = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        lengths = jnp.asarray(np.maximum(width * np.arange(intervals + 1), SHORTEST))

        def weights_at(lengths: jax.Array) -> Any:
            sown = network.apply(exact, *dimers(lengths), mutable=[TABLES])[1]
            return jax.tree.map(lambda weights: weights[: len(lengths)], sown[TABLES])

        def with_slopes(lengths: jax.Array) -> Any:
            return jax.jvp(weights_at, (lengths,), (jnp.ones_like(lengths),))

        values, slopes = jax.device_get(jax.jit(with_slopes)(lengths))

    def coefficients(value: np.ndarray, slope: np.ndarray) -> np.ndarray:
        left, right, first, last = value[:-1], value[1:], width * slope[:-1], width * slope[1:]
        cubic = left, first, 3 * (right - left) - 2 * first - last, 2 * (left - right) + first + last
        return np.stack(cubic, axis=1).astype(dtype)

    # On the device: of arrays of the host each call of a program may make a copy.
    return {**params, TABLES: jax.device_put(jax.tree.map(coefficients, values, slopes))}


def dimers(lengths: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Vectors (Å), species, senders and receivers of pairs of atoms at these distances, one pair after the other."""
    ends = jnp.arange(2 * len(lengths), dtype=jnp.int32)
    other = ends.reshape(-1, 2)[:, ::-1].reshape(-1)
    along = jnp.stack([lengths, -lengths], axis=1).reshape(-1, 1)
    return along * jnp.array([1.0, 0.0, 0.0]), jnp.zeros_like(ends), other, ends
