"""MACE: higher-order equivariant message passing (Batatia et al., NeurIPS 2022, arXiv 2206.07697).

The architecture is mace-torch's ``ScaleShiftMACE`` with ``RealAgnosticResidualInteractionBlock`` in every layer: same
blocks, same order of paths, same normalisation factors, so that weights can be carried over. Options turn it into the
published foundation models (MACE-OFF23, MACE-MP-0 and its successors), whose checkpoints `compbench foundation convert
mace` turns into runs of this potential. Where the two programs differ in form, though not in what they can express:

- features keep their channels last and have the parity (−1)^l (hidden irreps 0e + 1o + 2e …);
- the product basis has no linearly dependent paths (see ``symmetric.py``), so mace-torch's element weights map onto
  ours by a constant matrix;
- the constant of the normalised SiLU is the exact integral, where e3nn estimates it from a million random numbers.

With 64 channels, hidden 0e + 1o + 2e, correlation 2 and four elements this has 202,832 parameters (184,400 with two)
where InstaDeep's mlip counts 236,368: its first layer mixes messages of every degree by element and has no skip
connection, which costs 32,768 more than ours of the scalars alone, and 768 are weights of dependent paths.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ase.data import covalent_radii

from compbench_jax.models.equivariant.convolution import Edges
from compbench_jax.models.equivariant.pairs import undirected_pairs
from compbench_jax.models.equivariant.spherical import spherical_harmonics
from compbench_jax.models.equivariant.symmetric import SymmetricContraction
from compbench_jax.models.equivariant.tensor_product import Features, convolve, coupling_paths
from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.linear import (
    ElementLinear,
    EquivariantLinear,
    RadialMLP,
    ScaledDense,
    normalised_silu,
)
from compbench_jax.models.layers.radial import agnesi_transform, bessel_basis, polynomial_envelope
from compbench_jax.models.layers.safe import safe_norm, unit_vectors
from compbench_jax.models.long_range import SCREENING_POWER, screened_repulsion
from compbench_jax.models.potential import Normalisation


@dataclass(frozen=True)
class MACEConfig:
    """MACE (Batatia et al. 2022): equivariant messages, products of up to ``correlation`` of them on each atom."""

    cutoff: float = 5.0
    """Å, radius within which atoms exchange messages."""
    layers: int = 2
    """Message-passing layers."""
    channels: int = 32
    """Channels of every degree."""
    l_max: int = 2
    """Largest degree of the spherical harmonics and of the messages."""
    hidden_l: int = 1
    """Largest degree of the features between layers (1 is 0e + 1o)."""
    correlation: int = 2
    """Order of the product basis: body order minus one."""
    n_basis: int = 8
    """Bessel functions that expand a distance."""
    envelope: int = 5
    """Exponent p of the polynomial envelope; 5 is mace-torch's default (``--num_cutoff_basis``)."""
    radial_mlp: tuple[int, ...] = (64, 64, 64)
    """Widths of the hidden layers of the radial network."""
    readout: int = 16
    """Hidden width of the last layer's readout."""
    residual_first: bool = True
    """Skip connection in the first layer; without it the layer's messages are mixed by element instead."""
    density: bool = False
    """Divide messages by 1 + a learned density of neighbours, not by the mean number of neighbours."""
    agnesi: bool = False
    """Bessel functions of a distance relative to the covalent radii (Agnesi transform), not of the distance itself."""
    repulsion: float = 0.0
    """Factor of a repulsion of screened nuclei (ZBL) below the sum of the covalent radii. 0: none; 1: in full."""
    element_fan_in: int = 0
    """Number of elements that weights by element are normalised for. 0: those of the data."""

    kind: ClassVar[str] = "mace"
    citation: ClassVar[str] = "Batatia et al., NeurIPS 2022, arXiv 2206.07697"

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: layers times cutoff."""
        return self.layers * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        fan_in = self.element_fan_in or normalisation.element_fan_in or len(normalisation.elements)
        return MACE(self, normalisation.elements, fan_in, normalisation.average_neighbours, normalisation.scale)


class Interaction(nn.Module):
    """Messages of one layer: ``RealAgnosticResidualInteractionBlock`` of mace-torch, or without the residual part."""

    config: MACEConfig
    l_out: int
    n_species: int
    element_fan_in: int
    average_neighbours: float
    residual: bool

    @nn.compact
    def __call__(
        self,
        features: Features,
        species: jax.Array,
        harmonics: Features,
        radial: jax.Array,
        edges: Edges,
    ) -> tuple[Features, Features]:
        """Messages of degrees 0 … l_max and the skip connection of degrees up to ``l_out``; ``radial`` by pair."""
        config = self.config
        skip: Features = ()
        by_element = self.n_species, self.element_fan_in
        if self.residual:
            skip = ElementLinear(config.channels, self.l_out, *by_element, name="skip")(features, species)
        features = EquivariantLinear(config.channels, len(features) - 1, name="linear_up")(features)
        n_path = len(coupling_paths(len(features) - 1, config.l_max, config.l_max))
        weights = RadialMLP(config.radial_mlp, n_path * config.channels, name="radial")(radial)
        weights = weights.reshape(-1, n_path, config.channels)
        messages = convolve(features, harmonics, weights, edges.senders, edges.receivers, config.l_max, edges.rows)
        messages = EquivariantLinear(config.channels, config.l_max, name="linear")(messages)
        if config.density:
            near = jnp.tanh(ScaledDense(1, name="density")(radial)[:, 0] ** 2)[edges.rows]
            neighbours = 1 + sum_to_receivers(near, edges.receivers, species.shape[0])
            messages = tuple(m / neighbours[:, None, None] for m in messages)
        else:
            messages = tuple(m / self.average_neighbours for m in messages)
        if not self.residual:
            messages = ElementLinear(config.channels, config.l_max, *by_element, name="select")(messages, species)
        return messages, skip


class MACE(nn.Module):
    """Atom energies from many-body messages; see :class:`compbench_jax.models.potential.Potential`."""

    config: MACEConfig
    elements: tuple[int, ...]
    element_fan_in: int
    average_neighbours: float
    scale: float

    @nn.compact
    def __call__(self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        config, n_species = self.config, len(self.elements)
        harmonics = spherical_harmonics(unit_vectors(vectors)[0], config.l_max)
        pairs = undirected_pairs(vectors, senders, receivers)
        edges, lengths = Edges(senders, receivers, pairs.rows), safe_norm(pairs.vectors)
        envelope = polynomial_envelope(lengths, config.cutoff, config.envelope)
        energies, measured = jnp.zeros(species.shape, vectors.dtype), lengths
        if config.agnesi:
            radii = self._of_ends(covalent_radii, species, edges).sum(-1)
            measured = agnesi_transform(lengths, _by_pair(radii / 2, edges, lengths))
        if config.repulsion:
            energies += self._repulsion(lengths, species, edges) * (config.repulsion / self.scale)
        radial = bessel_basis(measured, config.cutoff, config.n_basis) * envelope[:, None]

        embedding = self.param("embedding", nn.initializers.normal(1.0), (n_species, config.channels)).astype(
            vectors.dtype
        )
        features: Features = (embedding[species][:, None, :] * self.element_fan_in**-0.5,)
        for layer in range(config.layers):
            last = layer == config.layers - 1
            l_out = 0 if last else config.hidden_l
            residual = layer > 0 or config.residual_first
            messages, skip = Interaction(
                config,
                l_out,
                n_species,
                self.element_fan_in,
                self.average_neighbours,
                residual,
                name=f"interaction_{layer}",
            )(features, species, harmonics, radial, edges)
            products = SymmetricContraction(config.correlation, l_out, n_species, name=f"product_{layer}")(
                messages, species
            )
            products = EquivariantLinear(config.channels, l_out, name=f"mix_{layer}")(products)
            # The first layer's features are scalars, so its skip connection has no higher degrees.
            features = tuple(x + skip[degree] if degree < len(skip) else x for degree, x in enumerate(products))
            scalars = features[0][:, 0]
            if last:
                scalars = normalised_silu(ScaledDense(config.readout, name=f"readout_{layer}_hidden")(scalars))
            energies += ScaledDense(1, name=f"readout_{layer}")(scalars)[:, 0]
        return energies

    def _of_ends(self, table: np.ndarray, species: jax.Array, edges: Edges) -> jax.Array:
        """Values that a table has by atomic number, of the atoms at both ends of each edge, ``[n_edge, 2]``."""
        values = jnp.asarray(table[np.array(self.elements)])[species]
        return jnp.stack([values[edges.senders], values[edges.receivers]], axis=-1)

    def _repulsion(self, lengths: jax.Array, species: jax.Array, edges: Edges) -> jax.Array:
        """Repulsion of each atom's nucleus, half of that of its pairs, eV ``[n_node]``."""
        numbers = np.arange(len(covalent_radii), dtype=float)
        charges = _by_pair(self._of_ends(numbers, species, edges).prod(-1), edges, lengths)
        powers = _by_pair(self._of_ends(numbers**SCREENING_POWER, species, edges).sum(-1), edges, lengths)
        ends = _by_pair(self._of_ends(covalent_radii, species, edges).sum(-1), edges, lengths)
        pairs = screened_repulsion(lengths, charges, powers) * polynomial_envelope(lengths, ends, self.config.envelope)
        return 0.5 * sum_to_receivers(pairs[edges.rows], edges.receivers, species.shape[0])


def _by_pair(values: jax.Array, edges: Edges, lengths: jax.Array) -> jax.Array:
    """Values of edges, the same in both directions, by pair like ``lengths``; of no consequence where there is none."""
    return jnp.ones_like(lengths).at[edges.rows].set(values.astype(lengths.dtype))
