"""So3krates: attention over neighbours with degree-wise geometric features (Frank, Unke, Müller and Chmiela, Nat.
Commun. 15, 6539 (2024), arXiv 2309.15126; equations by their numbers there).

An atom has invariant features ``[features]`` and one geometric vector ``[2l + 1]`` for each degree l = 1 … ``l_max``, a
sum of spherical harmonics. The only contraction of these is the squared norm of each degree, so no Clebsch-Gordan
products are needed. Options are those of SO3LR: attention divided by the mean number of neighbours, no activation of
queries and keys, geometric features that start as zero, two layer normalisations and one residual network a layer.

Parameters are the original's one to one, with kernels transposed as flax has them.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.layers.aggregate import sum_to_receivers

GAMMA = float(np.float32(0.9448630629184640))
"""1/Å, decay inside the Bernstein basis: half the inverse of Bohr's radius, as float32 holds it in the original."""

EDGE = 1e-6
"""Distance of the argument of the Bernstein basis from 0 and 1, whose logarithms are taken."""


def bernstein_basis(lengths: jax.Array, n_basis: int) -> jax.Array:
    """Exponential Bernstein functions, ``[...] -> [..., n_basis]`` (Unke et al. 2021, arXiv 2105.00304, eq. 14).

    b_k(r) = C(K−1, k) x^k (1 − x)^(K−1−k) with x = exp(−γr). Logarithms of the binomials are rounded to float32, as in
    the original's checkpoint.
    """
    top = n_basis - 1
    k = np.arange(n_basis)
    logs = [math.lgamma(top + 1) - math.lgamma(i + 1) - math.lgamma(top - i + 1) for i in range(n_basis)]
    binomials = jnp.asarray(np.array(logs, np.float32), lengths.dtype)
    x = jnp.clip(jnp.exp(-GAMMA * lengths), EDGE, 1 - EDGE)[..., None]
    return jnp.exp(binomials + jnp.asarray(k, x.dtype) * jnp.log(x) + jnp.asarray(top - k, x.dtype) * jnp.log1p(-x))


def squared_norms(geometric: jax.Array, l_max: int) -> jax.Array:
    """Squared norm of each degree over √(2l + 1), ``[n, (l_max + 1)² − 1] -> [n, l_max]``.

    The contraction of the original; its factors are those of float32.
    """
    parts = jnp.split(geometric * geometric, _cuts(l_max), axis=-1)
    factors = np.array([(2 * degree + 1) ** -0.5 for degree in range(1, l_max + 1)], np.float32)
    return jnp.stack([part.sum(-1) for part in parts], axis=-1) * jnp.asarray(factors, geometric.dtype)


def over_degrees(values: jax.Array, l_max: int) -> jax.Array:
    """A value for each degree at each of its components, ``[n, l_max] -> [n, (l_max + 1)² − 1]``."""
    repeats = np.repeat(np.arange(l_max), [2 * degree + 1 for degree in range(1, l_max + 1)])
    return values[..., repeats]


def _cuts(l_max: int) -> list[int]:
    return [(degree + 1) ** 2 - 1 for degree in range(1, l_max)]


class Filter(nn.Module):
    """Filter of an edge from its length and the geometric features' difference (eq. 20)."""

    features: int

    @nn.compact
    def __call__(self, basis: jax.Array, invariants: jax.Array) -> jax.Array:
        """``[n_edge, n_basis]`` and ``[n_edge, l_max]`` in, ``[n_edge, features]`` out."""
        radial = nn.silu(nn.Dense(self.features, name="radial_0")(basis))
        angular = nn.silu(nn.Dense(self.features // 4, name="angular_0")(invariants))
        return nn.Dense(self.features, name="radial_1")(radial) + nn.Dense(self.features, name="angular_1")(angular)


class Attention(nn.Module):
    """Attention over the neighbours, for both kinds of features (eqs. 15, 21 and 26)."""

    heads: int
    l_max: int
    average_neighbours: float

    @nn.compact
    def __call__(
        self,
        features: jax.Array,
        geometric: jax.Array,
        basis: jax.Array,
        harmonics: jax.Array,
        cutoff: jax.Array,
        senders: jax.Array,
        receivers: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Updates of the invariant ``[n_node, features]`` and geometric ``[n_node, (l_max + 1)² − 1]`` features."""
        n_node, width = features.shape
        invariants = squared_norms(geometric[senders] - geometric[receivers], self.l_max)

        def product(heads: int, name: str) -> jax.Array:
            """Features times a matrix of their own in each head, ``[n_node, heads, width // heads]``."""
            size = width // heads
            matrix = self.param(name, nn.initializers.lecun_normal(batch_axis=0), (heads, size, size))
            return jnp.einsum("nhd,hde->nhe", features.reshape(n_node, heads, size), matrix)

        def weights(heads: int, kind: str) -> jax.Array:
            """Attention of each head, ``[n_edge, heads]``."""
            filters = Filter(width, name=f"filter_{kind}")(basis, invariants).reshape(-1, heads, width // heads)
            query, key = product(heads, f"query_{kind}"), product(heads, f"key_{kind}")
            return (query[receivers] * key[senders] * filters).sum(-1) / self.average_neighbours * cutoff[:, None]

        value = product(self.heads, "value_invariant")[senders]
        messages = weights(self.heads, "invariant")[:, :, None] * value
        waves = over_degrees(weights(self.l_max, "geometric"), self.l_max) * harmonics
        received = sum_to_receivers(messages, receivers, n_node).reshape(n_node, width)
        return received, sum_to_receivers(waves, receivers, n_node)


class Layer(nn.Module):
    """Attention, a residual network, and the exchange between the two kinds of features (eqs. 24, 25 and 27)."""

    heads: int
    l_max: int
    average_neighbours: float

    @nn.compact
    def __call__(self, features: jax.Array, geometric: jax.Array, *edges: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Update ``[n_node, features]`` and ``[n_node, (l_max + 1)² − 1]``; ``edges`` as for :class:`Attention`."""
        width = features.shape[-1]
        attention = Attention(self.heads, self.l_max, self.average_neighbours, name="attention")
        more, waves = attention(features, geometric, *edges)
        features, geometric = _normalised(features + more, "norm_0"), geometric + waves
        hidden = nn.Dense(width, name="residual_0")(nn.silu(features))
        features = features + nn.Dense(width, name="residual_1")(nn.silu(hidden))
        both = jnp.concatenate([features, squared_norms(geometric, self.l_max)], axis=-1)
        mixed = nn.Dense(width + self.l_max, name="exchange")(both)
        geometric = geometric * (1 + over_degrees(mixed[:, width:], self.l_max))
        return _normalised(features + mixed[:, :width], "norm_1"), geometric


def _normalised(features: jax.Array, name: str) -> jax.Array:
    # The variance in two passes: that of large features would lose digits in float32.
    return nn.LayerNorm(epsilon=1e-6, use_fast_variance=False, name=name)(features)
