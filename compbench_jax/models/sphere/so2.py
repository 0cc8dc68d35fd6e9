"""Linear maps of features in the frame of an edge: convolutions over the angle about the edge.

Passaro & Zitnick 2023 (eSCN, arXiv 2302.03655, eq. 9). The components of order ±m turn into each other under a turn
about the edge, as the real and imaginary part of a complex number; the maps that commute with such turns multiply it by
a complex number: for each m > 0

    (y_m, y_−m) = (W₁ x_m − W₂ x_−m, W₂ x_m + W₁ x_−m),

over all degrees l ≥ m and all channels at once, and any linear map for m = 0. The result thus does not depend on the
gauge of the frame. W₂ changes sign in a mirror: the maps commute with rotations but not with reflections.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.sphere.degree_layers import uniform_fan_in

half_uniform_fan_in = nn.initializers.variance_scaling(1 / 6, "fan_in", "uniform")
"""Uniform between ±1/√(2 fan-in): the outputs of order m > 0 are sums of two products."""


def n_radial_weights(l_max: int, m_max: int, channels: int) -> int:
    """Number of factors of :class:`SO2Convolution`: one for each degree, channel and |m| of its input."""
    return channels * sum(l_max - m + 1 for m in range(m_max + 1))


class SO2Convolution(nn.Module):
    """Mix degrees and channels of features in the frame of an edge, order by order.

    Attributes:
        l_max: largest degree.
        m_max: largest order.
        features: channels of the result.
        extra: further invariants to compute from the components of order 0.
    """

    l_max: int
    m_max: int
    features: int
    extra: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, weights: jax.Array | None = None) -> tuple[jax.Array, jax.Array]:
        """Apply to features sorted by order (see :func:`compbench_jax.models.sphere.edge_frame.orders_first`).

        Args:
            x: ``[n_edge, n, channels]``.
            weights: factors of the input ``[n_edge, n_radial_weights]``, the same for m and −m.

        Returns:
            Features ``[n_edge, n, features]`` and the ``extra`` invariants ``[n_edge, extra]``.
        """
        n_edge, _, channels = x.shape
        parts, row, column, invariants = [], 0, 0, x[:, 0, :0]
        for m in range(self.m_max + 1):
            degrees = self.l_max - m + 1
            signs = 1 if m == 0 else 2
            block = x[:, row : row + signs * degrees].reshape(n_edge, signs, degrees * channels)
            row += signs * degrees
            if weights is not None:
                block = block * weights[:, None, column : column + degrees * channels]
                column += degrees * channels
            size = degrees * self.features
            if m == 0:
                mixed = nn.Dense(self.extra + size, kernel_init=uniform_fan_in, name="m0")(block[:, 0])
                invariants, block = mixed[:, : self.extra], mixed[:, self.extra :]
            else:
                mixed = nn.Dense(2 * size, use_bias=False, kernel_init=half_uniform_fan_in, name=f"m{m}")(block)
                first, second = mixed[..., :size], mixed[..., size:]
                block = jnp.stack([first[:, 0] - second[:, 1], first[:, 1] + second[:, 0]], axis=1)
            parts.append(block.reshape(n_edge, signs * degrees, self.features))
        return jnp.concatenate(parts, axis=1), invariants
