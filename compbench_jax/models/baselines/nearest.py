"""Nearest training environment: the force on an atom is that of the most similar atoms of the training frames.

What memory alone achieves, without a model of what causes the forces. An atom's surroundings are described by sums
over its neighbours, S_a = Σ_j f_a(r_ij) and V_a = Σ_j f_a(r_ij) r̂_ij, one for each element and Gaussian a. Among the
training atoms of the same element those with the most similar lengths ‖V_a‖ and sums S_a are candidates; each is turned
onto the test atom by the orthogonal matrix R that brings its vectors V_a closest (the orthogonal Procrustes problem,
Schönemann, Psychometrika 31, 1, 1966), and R times its force is averaged over the few that are then closest. Vectors
count as much as the force depends on them: their weights are the coefficients of a linear fit F ≈ Σ_a c_a V_a on the
training frames.

The energy is a sum of one number for each bonded environment, by least squares. It does not depend on the geometry, so
forces are nobody's gradient: they do not conserve energy, they jump where the nearest environment changes, and a
molecule may have a net force. Rotations, reflections, translations and permutations are respected exactly.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.baselines.bonded import Bonds, lookup
from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.radial import cosine_cutoff, gaussian_basis
from compbench_jax.models.layers.safe import safe_norm, unit_vectors
from compbench_jax.models.potential import Normalisation

CANDIDATES = 32
"""Training atoms that are turned onto the test atom."""

AT_ONCE = 256
"""Atoms compared with the whole memory at a time, which bounds the table of distances."""

UNDETERMINED = 1e-6
"""Directions in which the overlap of two environments is below this part of its largest are not aligned: no force is
carried over along them."""


@dataclass(frozen=True)
class NearestConfig:
    """Nearest training environment: rotated forces of the most similar training atoms; not conservative."""

    cutoff: float = 3.0
    """Å, radius of an atom's environment: first, second and some third neighbours."""
    n_basis: int = 16
    """Gaussians that expand a distance."""
    neighbours: int = 4
    """Training atoms whose forces are averaged."""
    most: int = 20_000
    """Maximum number of stored training atoms, evenly spaced over the training frames."""

    kind: ClassVar[str] = "nearest"
    citation: ClassVar[str] = "k nearest neighbours; alignment: Schönemann, Psychometrika 31, 1 (1966)"
    fitted: ClassVar[bool] = True
    bonded: ClassVar[bool] = True
    direct_forces: ClassVar[bool] = True

    @property
    def receptive_field(self) -> float:
        """Å, the farthest that an atom's force can see."""
        return self.cutoff

    def build(self, normalisation: Normalisation) -> "Nearest":
        """Memory for these elements."""
        return Nearest(self, len(normalisation.elements))


class Nearest(nn.Module):
    """Atom energies and forces from memory; see :class:`compbench_jax.models.potential.Potential`.

    Parameters: of the remembered atoms ``species [n]``, ``vectors [n, m, 3]`` and ``invariants [n, 2m]`` (weighted),
    ``forces [n, 3]``; ``weights [n_species, m]`` of the vectors by element of the atom; ``types_0``, ``types_1``,
    sorted names of the environments met, and their energies ``energies_0``, ``energies_1``. Energies and forces are in
    units of the normalisation's scale.
    """

    config: NearestConfig
    n_species: int

    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array, bonds: Bonds
    ) -> tuple[jax.Array, jax.Array]:
        """Node energies ``[n_node]`` and node forces ``[n_node, 3]``."""
        params = self.variables.get("params", {})
        if not params:  # not fitted yet
            return jnp.zeros(species.shape[0], vectors.dtype), jnp.zeros((species.shape[0], 3), vectors.dtype)
        sums, around = self.describe(vectors, species, senders, receivers)
        weights = params["weights"][species]
        forces = self.recall(params, species, *weigh(sums, around, weights))
        energies = jnp.zeros(species.shape[0], vectors.dtype)
        for level in range(2):
            table = jnp.append(params[f"energies_{level}"], 0.0)  # an environment never met adds nothing
            energies = energies + table[lookup(params[f"types_{level}"], bonds.keys[:, level])]
        return energies, forces.astype(vectors.dtype)

    def describe(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Sums S ``[n_node, m]`` and V ``[n_node, m, 3]``, m = elements × Gaussians."""
        cutoff, n_basis = self.config.cutoff, self.config.n_basis
        directions, lengths = unit_vectors(vectors)
        radial = gaussian_basis(lengths, cutoff, n_basis) * cosine_cutoff(lengths, cutoff)[:, None]
        chosen = jax.nn.one_hot(species[senders], self.n_species, dtype=radial.dtype)
        each = (chosen[:, :, None] * radial[:, None, :]).reshape(len(senders), -1)
        sums = sum_to_receivers(each, receivers, species.shape[0])
        # Edge vectors lead to the receiver; the direction that matters is that of the neighbour.
        return sums, sum_to_receivers(-each[:, :, None] * directions[:, None, :], receivers, species.shape[0])

    def recall(self, params: Any, species: jax.Array, invariants: jax.Array, around: jax.Array) -> jax.Array:
        """Forces ``[n_node, 3]`` of the most similar remembered atoms, turned into place."""
        memory = jnp.asarray(params["invariants"])
        squares = (memory**2).sum(axis=1)
        candidates = min(CANDIDATES, memory.shape[0])

        def one(atom: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            element, own, vectors = atom
            distance = jnp.where(params["species"] == element, squares - 2 * memory @ own, jnp.inf)
            _, near = jax.lax.top_k(-distance, candidates)
            theirs = jnp.asarray(params["vectors"])[near]
            left, overlap, right = jnp.linalg.svd(jnp.einsum("ax,nay->nxy", vectors, theirs))
            aligned = overlap > UNDETERMINED * jnp.maximum(overlap[:, :1], 1e-30)
            turns = jnp.einsum("nxs,ns,nsy->nxy", left, aligned.astype(left.dtype), right)
            apart = (theirs**2).sum(axis=(1, 2)) - 2 * overlap.sum(axis=1)
            apart = jnp.where(params["species"][near] == element, apart, jnp.inf)
            _, best = jax.lax.top_k(-apart, min(self.config.neighbours, candidates))
            forces = jnp.einsum("nxy,ny->nx", turns[best], jnp.asarray(params["forces"])[near[best]])
            return jnp.where(jnp.isfinite(apart[best])[:, None], forces, 0.0).mean(axis=0)

        # Whole groups of atoms, so that there is one loop: decompositions of two loops at once wait for each other's
        # threads on a CPU, for ever (jaxlib 0.10).
        missing = -len(species) % min(AT_ONCE, len(species))
        atoms = jax.tree.map(
            lambda x: jnp.pad(x, ((0, missing), *((0, 0),) * (x.ndim - 1))), (species, invariants, around)
        )
        return jax.lax.map(one, atoms, batch_size=min(AT_ONCE, len(species)))[: len(species)]


def weigh(sums: jax.Array, around: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weighted invariants ``[n, 2m]`` (lengths of the vectors, and the sums) and vectors ``[n, m, 3]``."""
    around = around * weights[:, :, None]
    return jnp.concatenate([safe_norm(around), sums * weights], axis=1), around
