"""Layers of features that keep all degrees in one array ``[n, (l_max + 1)², channels]``, sorted by degree."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.sphere.edge_frame import degrees_first

EPSILON = 1e-5
"""Added to variances by the layer normalisations."""

uniform_fan_in = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform between ±1/√fan-in."""


def layer_norm(name: str) -> nn.LayerNorm:
    """Layer normalisation over the last axis, with scale and bias."""
    return nn.LayerNorm(epsilon=EPSILON, use_fast_variance=False, name=name)


class DegreeLinear(nn.Module):
    """Mix the channels of each degree, with a bias for degree 0."""

    features: int
    l_max: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[n, (l_max + 1)², channels] -> [n, (l_max + 1)², features]``."""
        initial = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", in_axis=-2, out_axis=-1, batch_axis=(0,))
        kernel = self.param("kernel", initial, (self.l_max + 1, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        parts = [
            x[:, degree**2 : (degree + 1) ** 2] @ kernel[degree] + (bias if degree == 0 else 0)
            for degree in range(self.l_max + 1)
        ]
        return jnp.concatenate(parts, axis=1)


class SeparableLayerNorm(nn.Module):
    """Layer normalisation of degree 0; all others are divided by their common root mean square (section 4.3)."""

    l_max: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[n, (l_max + 1)², channels]``, every degree of the same weight in the mean square."""
        degrees = np.array([degree for degree, _ in degrees_first(self.l_max)[1:]])
        weight = self.param("weight", nn.initializers.ones, (self.l_max, x.shape[-1]))
        scalars, rest = layer_norm("scalars")(x[:, :1]), x[:, 1:]
        share = jnp.asarray(1 / ((2 * degrees + 1) * self.l_max), x.dtype)
        square = jnp.einsum("nmc,m->n", rest * rest, share) / x.shape[-1]
        scale = jax.lax.rsqrt(square + EPSILON)
        return jnp.concatenate([scalars, rest * scale[:, None, None] * weight[degrees - 1]], axis=1)
