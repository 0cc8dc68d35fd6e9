"""Attention of a node over the edges that end at it."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.safe import safe_divide


def smooth_leaky_relu(x: jax.Array) -> jax.Array:
    """½ (1 + a) x + ½ (1 − a) x (2σ(x) − 1) with a = 0.2 (Liao & Smidt 2023, arXiv 2206.11990, appendix C.1)."""
    return 0.6 * x + 0.4 * x * (2 * nn.sigmoid(x) - 1)


def smooth_attention(logits: jax.Array, envelope: jax.Array, receivers: jax.Array, n_node: int) -> jax.Array:
    """Attention u · (u eᵃ) / Σ u eᵃ, the sum over the edges of a receiver.

    Args:
        logits: a ``[n_edge, heads]``.
        envelope: u ≥ 0 ``[n_edge]``; an envelope of ones gives the softmax.
        receivers: ``[n_edge]``, ascending.
        n_node: number of nodes.
    """
    # The largest logit cancels in the quotient: it needs no derivative.
    largest = jax.ops.segment_max(jax.lax.stop_gradient(logits), receivers, n_node, indices_are_sorted=True)
    weights = envelope[:, None] * jnp.exp(logits - largest[receivers])
    return envelope[:, None] * safe_divide(weights, sum_to_receivers(weights, receivers, n_node)[receivers])
