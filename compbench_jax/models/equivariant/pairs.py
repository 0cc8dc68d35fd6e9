"""Pairs of neighbours: what depends on their distance alone is computed once for both directions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Pairs(NamedTuple):
    """Undirected pairs of a batch.

    Attributes:
        vectors: from one atom of the pair to the other, Å ``[n_edge // 2 + 1, 3]``; zero where there is no pair, as in
            the last row.
        rows: the pair of each edge, int32 ``[n_edge]``; the last for padding edges.
    """

    vectors: jax.Array
    rows: jax.Array


def undirected_pairs(vectors: jax.Array, senders: jax.Array, receivers: jax.Array) -> Pairs:
    """Pairs of a batch of edges.

    Args:
        vectors: of the edges, Å ``[n_edge, 3]``.
        senders: ``[n_edge]``.
        receivers: ``[n_edge]``. Edges are sorted by receiver, then by sender, and for each there is that of the
            opposite direction; padding edges join a node to itself. If an edge has no opposite all vectors are NaN:
            nobody shall take such energies for true.
    """
    with jax.named_scope("pairs"):
        return _undirected_pairs(vectors, senders, receivers)


def _undirected_pairs(vectors: jax.Array, senders: jax.Array, receivers: jax.Array) -> Pairs:
    n_edge = senders.shape[0]
    n_pair = n_edge // 2 + 1
    pair = jnp.arange(n_pair, dtype=jnp.int32)
    up, down = senders < receivers, senders > receivers
    place = jnp.where(up, jnp.cumsum(up, dtype=jnp.int32) - 1, n_pair)
    first = jnp.full(n_pair, n_edge, jnp.int32).at[place].set(jnp.arange(n_edge, dtype=jnp.int32), mode="drop")
    # Opposites sorted by sender (and still, among equals, by receiver) are in the order of the edges that they answer.
    # One entry more, of no edge, for where there are none at all.
    last = jnp.iinfo(senders.dtype).max
    opposite = jnp.argsort(jnp.append(jnp.where(down, senders, last), last), stable=True)[:n_pair]
    opposite = jnp.where(pair < down.sum(), opposite, n_edge)
    rows = jnp.where(up, place, n_pair - 1).at[opposite].set(pair, mode="drop")

    def end(nodes: jax.Array, edges: jax.Array) -> jax.Array:
        return jnp.append(nodes, -1)[edges]

    answered = (end(senders, first) == end(receivers, opposite)) & (end(receivers, first) == end(senders, opposite))
    found = jnp.concatenate([vectors, jnp.zeros_like(vectors, shape=(1, 3))])[first]
    return Pairs(jnp.where(answered.all(), found, jnp.nan), rows)
