"""Sums of messages over the edges that end at a node."""

import jax


def sum_to_receivers(messages: jax.Array, receivers: jax.Array, n_node: int) -> jax.Array:
    """Sum edge values ``[n_edge, ...]`` at the node where each edge ends, ``[n_node, ...]``.

    ``receivers`` ``[n_edge]`` must be ascending, as the batches make them: the sum then walks memory once, in order.
    """
    return jax.ops.segment_sum(messages, receivers, n_node, indices_are_sorted=True)
