"""Linear maps and radial networks with e3nn's normalisation.

Weights start as N(0, 1) and are divided by √fan-in when applied, so that Adam moves every layer at the same relative
pace whatever its width. There are no biases. These are e3nn's ``o3.Linear`` and ``nn.FullyConnectedNet``.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.equivariant.tensor_product import Features

SILU_SECOND_MOMENT = 1.6765324703310907
"""1/√E[SiLU(z)²] for z ~ N(0, 1), the factor of e3nn's ``normalize2mom``."""

TANH_SECOND_MOMENT = 1.5925374197228315
"""The same for tanh, which keeps the odd scalars odd."""


def normalised_silu(x: jax.Array) -> jax.Array:
    """SiLU scaled so that its second moment under a unit Gaussian is one."""
    return SILU_SECOND_MOMENT * nn.silu(x)


def normalised_tanh(x: jax.Array) -> jax.Array:
    """Hyperbolic tangent scaled so that its second moment under a unit Gaussian is one."""
    return TANH_SECOND_MOMENT * jnp.tanh(x)


class ScaledDense(nn.Module):
    """y = x W / √fan-in, ``[..., n_in] -> [..., features]``."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply to the last axis."""
        fan_in = x.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(1.0), (fan_in, self.features))
        # Scaling the small matrix is cheaper than scaling the product.
        return x @ (kernel * fan_in**-0.5)


class EquivariantLinear(nn.Module):
    """Mix the channels of each degree, ``[n, 2l + 1, n_in(l)] -> [n, 2l + 1, features]`` for l ≤ ``l_out``."""

    features: int
    l_out: int

    @nn.compact
    def __call__(self, x: Features) -> Features:
        """Apply one :class:`ScaledDense` a degree."""
        return tuple(ScaledDense(self.features, name=f"l{degree}")(x[degree]) for degree in range(self.l_out + 1))


class ElementLinear(nn.Module):
    """Mix the channels of each degree with weights of the node's element; degrees above ``l_out`` are dropped.

    e3nn's ``FullyConnectedTensorProduct`` with the one-hot element: fan-in is channels times elements, or times
    ``fan_in`` if that is not 0.
    """

    features: int
    l_out: int
    n_species: int
    fan_in: int = 0

    @nn.compact
    def __call__(self, x: Features, species: jax.Array) -> Features:
        """``[n, 2l + 1, channels] -> [n, 2l + 1, features]``; ``species [n]``."""
        result = []
        for degree, values in enumerate(x[: self.l_out + 1]):
            shape = (values.shape[-1], self.n_species, self.features)
            kernel = self.param(f"l{degree}", nn.initializers.normal(1.0), shape)
            result.append(_mix_by_element(values, kernel, species, self.fan_in))
        return tuple(result)


class ElementDense(nn.Module):
    """:class:`ElementLinear` for one feature."""

    features: int
    n_species: int
    fan_in: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, species: jax.Array) -> jax.Array:
        """``[n, 2l + 1, channels] -> [n, 2l + 1, features]``; ``species [n]``."""
        shape = (x.shape[-1], self.n_species, self.features)
        return _mix_by_element(x, self.param("kernel", nn.initializers.normal(1.0), shape), species, self.fan_in)


MOST_AT_ONCE = 16
"""Most elements whose matrices are all applied to every node; with more, the matrix of each node is looked up."""


def _mix_by_element(values: jax.Array, kernel: jax.Array, species: jax.Array, fan_in: int = 0) -> jax.Array:
    """``[n, 2l + 1, channels] -> [n, 2l + 1, features]`` with ``kernel [channels, n_species, features]``."""
    n, size, _ = values.shape
    channels, n_species, features = kernel.shape
    kernel = kernel * (channels * (fan_in or n_species)) ** -0.5
    if n_species > MOST_AT_ONCE:
        return jnp.einsum("nmc,ncf->nmf", values, kernel.swapaxes(0, 1)[species])
    chosen = nn.one_hot(species, n_species, dtype=values.dtype)[:, None, :, None]
    # All elements in one matrix product, then the right one: for the few elements of organic molecules this beats
    # gathering a matrix for every node.
    mixed = values @ kernel.reshape(channels, -1)
    return (mixed.reshape(n, size, n_species, features) * chosen).sum(axis=2)


class CutDense(nn.Module):
    """Dense layer with a bias, times a cutoff f: (x W + b) f, computed as (x f) W + f b where x is narrow.

    Parameters and their initial values are those of ``nn.Dense`` with Xavier's kernel.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, cutoff: jax.Array) -> jax.Array:
        """``[n, n_in]`` and ``[n, 1] -> [n, features]``."""
        kernel = self.param("kernel", nn.initializers.xavier_uniform(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return jnp.concatenate([x * cutoff, cutoff], axis=-1) @ jnp.concatenate([kernel, bias[None]])


class RadialMLP(nn.Module):
    """Multilayer perceptron without biases: zero where its input is zero, hence at the cutoff."""

    hidden: Sequence[int]
    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[n_edge, n_basis] -> [n_edge, features]``."""
        for width in self.hidden:
            x = normalised_silu(ScaledDense(width)(x))
        return ScaledDense(self.features)(x)
