"""SO3LR: So3krates with repulsion, electrostatics and dispersion (Kabylda et al., J. Am. Chem. Soc. 2025).

The energy is a network's (:mod:`compbench_jax.models.so3krates`), plus the physics of
:mod:`compbench_jax.models.long_range` with charges and Hirshfeld ratios that the same network predicts. The original
was trained on neutral and charged molecules; here all are neutral singlets, for which its embeddings of charge and spin
are exactly zero: they are left out, but for the factor 1/√3 of a sum of three embeddings.

`compbench foundation convert so3lr` turns the published weights into a run of this potential.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.errors import CompBenchError
from compbench_jax.models.equivariant.spherical import spherical_harmonics
from compbench_jax.models.free_atoms import free_atoms
from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.radial import polynomial_envelope
from compbench_jax.models.layers.safe import unit_vectors
from compbench_jax.models.long_range import (
    Molecules,
    Repulsion,
    conserve_charge,
    dispersion,
    electrostatics,
    squared_distances,
)
from compbench_jax.models.potential import Normalisation
from compbench_jax.models.so3krates import Layer, bernstein_basis

LEAST_RATIO = 1e-3
"""Hirshfeld ratios are no smaller: at zero the dispersion energy has no derivative. Real ones are above a half."""


@dataclass(frozen=True)
class SO3LRConfig:
    """SO3LR (Kabylda et al. 2025): So3krates with repulsion, electrostatics and dispersion.

    The defaults are the published size.
    """

    cutoff: float = 4.5
    """Å, radius within which atoms exchange messages. Charges and dispersion act between all atoms of a molecule."""
    features: int = 128
    """Invariant features of an atom, a multiple of heads, of degrees, and of four."""
    heads: int = 4
    """Heads of the attention that updates the invariant features."""
    layers: int = 3
    """Layers of attention."""
    l_max: int = 4
    """Degrees 1 … l_max of the geometric features."""
    n_basis: int = 32
    """Bernstein functions that expand a distance."""
    charge_width: float = 4.0
    """Width of the charges, Å."""
    dispersion_scale: float = 1.2
    """Factor of the damping length of dispersion."""
    long_range_cutoff: float = 1000.0
    """Å, distance at which the energy of two charges is shifted to zero. The shift changes forces via the charges."""

    kind: ClassVar[str] = "so3lr"
    citation: ClassVar[str] = (
        "Kabylda et al., J. Am. Chem. Soc. 2025; So3krates: Nat. Commun. 15, 6539, arXiv 2309.15126"
    )
    long_range: ClassVar[bool] = True

    @property
    def receptive_field(self) -> float:
        """Å, the farthest the network sees: layers times cutoff. Charges and dispersion see the whole molecule."""
        return self.layers * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements.

        Raises:
            CompBenchError: features that cannot be shared out, or an element beyond xenon.
        """
        for name, parts in (("heads", self.heads), ("l_max", self.l_max), ("four", 4)):
            if self.features % parts:
                raise CompBenchError(f"--model.features is {self.features}: give a multiple of {name} ({parts})")
        free_atoms(normalisation.elements)
        return SO3LR(self, normalisation.elements, normalisation.scale, normalisation.average_neighbours)


class SO3LR(nn.Module):
    """Atom energies; see :class:`compbench_jax.models.potential.Potential`.

    The parts of the energy, charges and ratios are sown into the collection ``intermediates``.
    """

    config: SO3LRConfig
    elements: tuple[int, ...]
    scale: float
    average_neighbours: float

    @nn.compact
    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array, molecules: Molecules
    ) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        config, n_node = self.config, species.shape[0]
        dtype = jnp.result_type(vectors, jnp.float32)
        directions, lengths = unit_vectors(vectors)
        cutoff = polynomial_envelope(lengths, config.cutoff, p=3)  # PhysNet's
        basis = bernstein_basis(lengths, config.n_basis)
        # The original's have unit norm over the sphere, e3nn's components unit variance; degree 0 is not used.
        harmonics = jnp.concatenate(spherical_harmonics(directions, config.l_max)[1:], -1) / (4 * np.pi) ** 0.5

        features = self._of_element("embedding", species, config.features).astype(dtype) / 3**0.5
        geometric = jnp.zeros((n_node, (config.l_max + 1) ** 2 - 1), dtype)
        for i in range(config.layers):
            layer = Layer(config.heads, config.l_max, self.average_neighbours, name=f"layer_{i}")
            features, geometric = layer(features, geometric, basis, harmonics, cutoff, senders, receivers)
            self.sow("intermediates", f"features_{i}", features)
            self.sow("intermediates", f"geometric_{i}", geometric)

        scales = self.param("energy_scale", nn.initializers.ones, (len(self.elements),))
        hidden = nn.silu(nn.Dense(config.features, name="energy_0")(features))
        network = nn.Dense(1, name="energy_1")(hidden)[:, 0] * scales[species]
        physics = self._physics(features, lengths, cutoff, species, senders, receivers, molecules)
        self.sow("intermediates", "network_energy", network)
        return network + physics / self.scale

    def _physics(
        self,
        features: jax.Array,
        lengths: jax.Array,
        cutoff: jax.Array,
        species: jax.Array,
        senders: jax.Array,
        receivers: jax.Array,
        molecules: Molecules,
    ) -> jax.Array:
        """Repulsion, electrostatics and dispersion of each atom, eV ``[n_node]``."""
        config = self.config
        numbers = jnp.asarray(self.elements, features.dtype)[species]
        ends = numbers[receivers], numbers[senders]
        repelled = sum_to_receivers(Repulsion(name="repulsion")(lengths, cutoff, *ends), receivers, species.shape[0])

        hidden = nn.silu(nn.Dense(config.features, name="charge_0")(features))
        charges = nn.Dense(1, name="charge_1")(hidden)[:, 0]
        charges = conserve_charge(charges + self._of_element("charge_bias", species), molecules)

        hidden = nn.silu(nn.Dense(config.features // 2, name="ratio_0")(features))
        keys = nn.Dense(config.features // 2, name="ratio_1")(hidden)
        queries = self._of_element("ratio_query", species, config.features // 2)
        shift = self.param("ratio_shift", nn.initializers.ones, (len(self.elements),))[species]
        ratios = jnp.abs(shift + (queries * keys).sum(-1) * (config.features // 2) ** -0.5)
        ratios = jnp.maximum(ratios, LEAST_RATIO)

        squares, together = squared_distances(molecules)
        charged = electrostatics(charges, squares, together, config.charge_width, config.long_range_cutoff)
        alphas, coefficients = (jnp.asarray(table, features.dtype)[species] for table in free_atoms(self.elements))
        dispersed = dispersion(ratios, alphas, coefficients, squares, together, config.dispersion_scale)
        found = {"charges": charges, "ratios": ratios}
        found |= {"repulsion_energy": repelled, "electrostatic_energy": charged, "dispersion_energy": dispersed}
        for name, value in found.items():
            self.sow("intermediates", name, value)
        return repelled + charged + dispersed

    def _of_element(self, name: str, species: jax.Array, width: int | None = None) -> jax.Array:
        """Parameters of each atom's element, ``[n_node]`` or ``[n_node, width]``."""
        shape = (len(self.elements),) if width is None else (len(self.elements), width)
        deviation = 0.1 if width is None else width**-0.5
        return self.param(name, nn.initializers.normal(deviation), shape)[species]
