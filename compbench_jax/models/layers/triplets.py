"""Sums over the triplets k → j ← i of a batch: dense arrays of the edges that end at each node.

``triplets [n_node, n_incoming]`` is the table of :mod:`compbench_jax.batching.triplets`: the edges that end at each
node, then the number of edges, which is the index of none. Slots are the places of the table. Padding edges have none.
"""

import jax
import jax.numpy as jnp

from compbench_jax.models.layers.angular import zonal_harmonics


def to_slots(values: jax.Array, triplets: jax.Array) -> jax.Array:
    """Edge values ``[n_edge, ...]`` at the slots, ``[n_node, n_incoming, ...]``; zero in empty slots."""
    return jnp.take(values, triplets, axis=0, mode="fill", fill_value=0)


def to_edges(slots: jax.Array, triplets: jax.Array, receivers: jax.Array) -> jax.Array:
    """Slot values ``[n_node, n_incoming, ...]`` at the edges, ``[n_edge, ...]``; zero on padding edges."""
    n_node, width = triplets.shape
    place = jnp.arange(receivers.shape[0]) - triplets[receivers, 0]
    slot = jnp.where(place >= 0, receivers * width + place, n_node * width)
    return jnp.take(slots.reshape(n_node * width, *slots.shape[2:]), slot, axis=0, mode="fill", fill_value=0)


def reverse_edges(senders: jax.Array) -> jax.Array:
    """Index of the edge i → j of each edge j → i, ``[n_edge]``; a padding edge is its own.

    Edges are sorted by receiver, then by sender, and occur in both directions: sorted by sender, then by receiver, they
    are each other's reverse.
    """
    return jnp.argsort(senders, stable=True)


def slot_harmonics(directions: jax.Array, triplets: jax.Array, n: int) -> jax.Array:
    """Angular basis of all pairs of edges that end at a node, ``[n_node, n, n_incoming, n_incoming]``.

    Y_l⁰ of the angle between two edges, with unit vectors ``directions [n_edge, 3]``, l = 0 … n − 1. Zero for an edge
    with itself, which is no triplet.
    """
    slots = to_slots(directions, triplets)
    # As a sum and not a matrix product: of unit vectors, whose product accelerators would round to 10 bits.
    cosines = jnp.sum(slots[:, :, None, :] * slots[:, None, :, :], axis=-1)
    different = 1 - jnp.eye(triplets.shape[1], dtype=directions.dtype)
    return zonal_harmonics(cosines, n, axis=1) * different
