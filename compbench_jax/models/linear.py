"""Linear maps and radial networks with e3nn's normalisation.

Weights start as N(0, 1) and are divided by √fan-in when applied, so that Adam moves every layer at the same relative
pace whatever its width. There are no biases. These are e3nn's ``o3.Linear`` and ``nn.FullyConnectedNet``.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax

from compbench_jax.models.tensor_product import Features

SILU_SECOND_MOMENT = 1.6765324703310907
"""1/√E[SiLU(z)²] for z ~ N(0, 1), the factor of e3nn's ``normalize2mom``."""


def normalised_silu(x: jax.Array) -> jax.Array:
    """SiLU scaled so that its second moment under a unit Gaussian is one."""
    return SILU_SECOND_MOMENT * nn.silu(x)


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

    e3nn's ``FullyConnectedTensorProduct`` with the one-hot element: fan-in is channels times elements.
    """

    features: int
    l_out: int
    n_species: int

    @nn.compact
    def __call__(self, x: Features, species: jax.Array) -> Features:
        """``[n, 2l + 1, channels] -> [n, 2l + 1, features]``; ``species [n]``."""
        chosen = nn.one_hot(species, self.n_species, dtype=x[0].dtype)[:, None, :, None]
        result = []
        for degree, values in enumerate(x[: self.l_out + 1]):
            n, size, channels = values.shape
            kernel = self.param(f"l{degree}", nn.initializers.normal(1.0), (channels, self.n_species, self.features))
            kernel = kernel * (channels * self.n_species) ** -0.5
            # All elements in one matrix product, then the right one: for the few elements of organic molecules this
            # beats gathering a matrix for every node.
            mixed = values @ kernel.reshape(channels, -1)
            result.append((mixed.reshape(n, size, self.n_species, self.features) * chosen).sum(axis=2))
        return tuple(result)


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
