"""Composition alone: what is known of a molecule by its formula. Every potential must be better.

The energy is a sum of one number an element, by least squares on the training energies; forces are zero. Its force MAE
is the mean force component of the frames.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.batching.dataset import GraphDataset, compositions
from compbench_jax.models.normalisation import fit_reference_energies
from compbench_jax.models.potential import Normalisation, Params


@dataclass(frozen=True)
class CompositionConfig:
    """Composition only: one energy per element, no forces; fitted by linear least squares."""

    cutoff: float = 5.0
    """Å, of neighbour lists and the audit's unseen contacts only: the energy does not depend on distances."""

    kind: ClassVar[str] = "composition"
    citation: ClassVar[str] = "least squares, here"
    fitted: ClassVar[bool] = True

    @property
    def receptive_field(self) -> float:
        """Å: an atom's energy sees no other atom."""
        return 0.0

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Energies for these elements."""
        return Composition(len(normalisation.elements))


class Composition(nn.Module):
    """Atom energies by element; see :class:`compbench_jax.models.potential.Potential`."""

    n_species: int

    @nn.compact
    def __call__(self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        energies = self.param("energies", nn.initializers.zeros, (self.n_species,))
        return jnp.asarray(energies, vectors.dtype)[species]


def fit_composition(normalisation: Normalisation, train: GraphDataset) -> tuple[Params, str]:
    """Energies of the elements by least squares on the training frames, and a line about the fit.

    The reference energies are that already: what is left is zero up to rounding.
    """
    counts = compositions(train.frames, train.elements)
    energies = fit_reference_energies(counts, train.targets) / normalisation.scale
    return {"params": {"energies": energies.astype(np.float32)}}, f"{len(energies)} energies of elements"
