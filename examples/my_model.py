"""A potential of one's own: a Gaussian of the distance for each pair of elements, its depth and width to be learned."""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp


@dataclass(frozen=True)
class PairConfig:
    """Sum of Gaussians of the distances."""

    cutoff: float = 4.0
    """Å, farther atoms are not seen."""

    terms: int = 8
    """Gaussians per pair of elements, their centres evenly from 0 to the cutoff."""

    kind: ClassVar[str] = "pairs"

    @property
    def receptive_field(self):
        """Å, the farthest an atom's energy can see."""
        return self.cutoff

    def build(self, normalisation):
        """The network, for the elements of the training frames."""
        return Pairs(self, len(normalisation.elements))


class Pairs(nn.Module):
    """Atom energies ``[n_atoms]`` from edge vectors ``[n_edges, 3]``, Å; forces are their gradient, made elsewhere."""

    config: PairConfig
    n_species: int

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        """Energies in units of the normalisation's scale."""
        square = jnp.sum(vectors**2, axis=-1)
        distance = jnp.sqrt(jnp.where(square > 0, square, 1.0))  # padding edges have length 0
        centres = jnp.linspace(0.0, self.config.cutoff, self.config.terms)
        basis = jnp.exp(-((distance[:, None] - centres) ** 2) * (self.config.terms / self.config.cutoff) ** 2)
        smooth = jnp.where(square > 0, jnp.clip(1 - square / self.config.cutoff**2, 0) ** 3, 0)
        shape = (self.n_species, self.n_species, self.config.terms)
        depth = self.param("depth", nn.initializers.normal(0.1), shape)
        symmetric = depth + depth.swapaxes(0, 1)
        energy = smooth * jnp.sum(basis * symmetric[species[senders], species[receivers]], axis=-1)
        return jnp.zeros(species.shape[0], energy.dtype).at[receivers].add(energy)
