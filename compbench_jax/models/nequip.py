"""NequIP: E(3)-equivariant convolutions (Batzner et al., Nat. Commun. 13, 2453, 2022, arXiv 2101.03164).

The architecture of the publication, with the normalisation of its authors' package: self-interaction, convolution with
the spherical harmonics, self-interaction, a skip connection with weights of the element, and a gate, with SiLU for the
even scalars and the gates, tanh for the odd scalars. Where this differs in form, though not in what it computes:

- what cannot reach the energy is not computed unless ``prune`` is off, see :func:`layer_irreps`: fewer parameters than
  other programs count;
- the constants of the normalised SiLU and tanh are the exact integrals, where e3nn estimates them;
- the energy's scale and the atoms' reference energies are in the normalisation of the potential, not in the network;
- the Bessel functions are fixed, as in later versions of the authors' package; in the publication their frequencies are
  trained.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import e3nn_jax as e3nn
import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.equivariant.convolution import Edges
from compbench_jax.models.equivariant.pairs import undirected_pairs
from compbench_jax.models.equivariant.spherical import parity_irreps, spherical_harmonics
from compbench_jax.models.equivariant.tensor_product import Couplings, Features, convolve
from compbench_jax.models.layers.linear import ElementDense, RadialMLP, ScaledDense, normalised_silu, normalised_tanh
from compbench_jax.models.layers.radial import bessel_basis, polynomial_envelope
from compbench_jax.models.layers.safe import safe_norm, unit_vectors
from compbench_jax.models.potential import Normalisation

Irreps = tuple[e3nn.Irrep, ...]
"""Kinds of features, "0e", "1o" and so on, each of which comes with the same number of channels."""

SCALAR = e3nn.Irrep("0e")


@dataclass(frozen=True)
class NequIPConfig:
    """NequIP (Batzner et al. 2022): equivariant convolutions with gates."""

    cutoff: float = 5.0
    """Å, radius within which atoms exchange messages."""
    layers: int = 3
    """Interaction layers."""
    channels: int = 32
    """Channels of every degree and parity."""
    l_max: int = 2
    """Largest degree of the spherical harmonics and of the features."""
    parity: bool = True
    """Features of both parities (0e, 0o, 1e, 1o …), as published; without, only those of the spherical harmonics (0e,
    1o, 2e …). Has an effect from four layers on."""
    prune: bool = True
    """Leave out features that cannot reach the energy. Without, the energies are of the same form and cost more."""
    n_basis: int = 8
    """Bessel functions that expand a distance."""
    envelope: int = 6
    """Exponent p of the polynomial envelope."""
    radial_mlp: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the radial network."""

    kind: ClassVar[str] = "nequip"
    citation: ClassVar[str] = "Batzner et al., Nat. Commun. 13, 2453 (2022), arXiv 2101.03164"

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: layers times cutoff."""
        return self.layers * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        n_species = len(normalisation.elements)
        return NequIP(self, n_species, normalisation.element_fan_in or n_species, normalisation.average_neighbours)


@lru_cache
def layer_irreps(layers: int, l_max: int, parity: bool, prune: bool = True) -> tuple[Irreps, ...]:
    """Features that each layer hands on, from those of the embedding to those of the last layer.

    Kept is what the harmonics can make from the features of the layer before, and what can still reach the energy: the
    last layer has scalars only, and the last but one none of the parity (−1)^(l + 1), which no harmonic turns into a
    scalar. So features of both parities make no difference to a network of three layers or fewer. Without ``prune``
    all that can be made is kept, in the last layer too, as other programs do.
    """
    harmonics = [irrep for _, irrep in parity_irreps(l_max)]
    both = [e3nn.Irrep(degree, sign * (-1) ** degree) for degree in range(l_max + 1) for sign in (1, -1)]
    hidden = both if parity else harmonics
    reached = [{SCALAR}]
    for _ in range(layers):
        reached.append({y for y in hidden if any(y in x * sh for x in reached[-1] for sh in harmonics)})
    useful = [{SCALAR}]
    for _ in range(layers):
        useful.append({x for x in both if any(y in x * sh for y in useful[-1] for sh in harmonics)})
    return tuple(
        tuple(irrep for irrep in both if irrep in reachable and (irrep in use or not prune))
        for reachable, use in zip(reached, reversed(useful), strict=True)
    )


@lru_cache
def couplings(inputs: Irreps, l_max: int, outputs: Irreps) -> Couplings:
    """All products of features with harmonics up to ``l_max`` that parity and triangle rule allow."""
    paths = tuple(
        (i, harmonic.l, o)
        for o, y in enumerate(outputs)
        for i, x in enumerate(inputs)
        for _, harmonic in parity_irreps(l_max)
        if y in x * harmonic
    )
    return Couplings(tuple(x.l for x in inputs), tuple(y.l for y in outputs), paths)


class NequIPLayer(nn.Module):
    """One interaction layer (figure 1c): convolution, skip connection and gate."""

    config: NequIPConfig
    inputs: Irreps
    outputs: Irreps
    n_species: int
    element_fan_in: int
    average_neighbours: float

    @nn.compact
    def __call__(
        self,
        features: Features,
        species: jax.Array,
        harmonics: Features,
        radial: jax.Array,
        edges: Edges,
    ) -> Features:
        """Features ``[n_node, 2l + 1, channels]``, one for each of ``inputs``, in; one for each of ``outputs`` out.

        ``radial`` is that of the pairs, ``[n_pair, n_basis]``.
        """
        channels = self.config.channels
        paths = couplings(self.inputs, self.config.l_max, self.outputs)
        weights = RadialMLP(self.config.radial_mlp, len(paths.paths) * channels, name="radial")(radial)
        weights = weights.reshape(-1, len(paths.paths), channels)
        sent = tuple(
            ScaledDense(channels, name=f"linear_in_{x}")(h) for x, h in zip(self.inputs, features, strict=True)
        )
        messages = convolve(sent, harmonics, weights, edges.senders, edges.receivers, paths, edges.rows)

        n_gated = sum(y.l > 0 for y in self.outputs)
        mixed = []
        for y, message in zip(self.outputs, messages, strict=True):
            width = channels * (1 + n_gated) if y == SCALAR else channels
            value = ScaledDense(width, name=f"linear_out_{y}")(message) * self.average_neighbours**-0.5
            if y in self.inputs:
                skip = ElementDense(width, self.n_species, self.element_fan_in, name=f"skip_{y}")
                value += skip(features[self.inputs.index(y)], species)
            mixed.append(value)
        return self._gate(mixed)

    def _gate(self, mixed: list[jax.Array]) -> Features:
        """Nonlinearity: scalars by themselves, all else times a scalar of its own, which the even scalars carry."""
        even, *gates = jnp.split(mixed[0], mixed[0].shape[-1] // self.config.channels, axis=-1)
        result = [normalised_silu(even)]
        for y, value in zip(self.outputs[1:], mixed[1:], strict=True):
            result.append(normalised_tanh(value) if y.l == 0 else value * normalised_silu(gates.pop(0)))
        return tuple(result)


class NequIP(nn.Module):
    """Atom energies from equivariant convolutions; see :class:`compbench_jax.models.potential.Potential`."""

    config: NequIPConfig
    n_species: int
    element_fan_in: int
    average_neighbours: float

    @nn.compact
    def __call__(self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        config = self.config
        harmonics = spherical_harmonics(unit_vectors(vectors)[0], config.l_max)
        pairs = undirected_pairs(vectors, senders, receivers)
        edges, lengths = Edges(senders, receivers, pairs.rows), safe_norm(pairs.vectors)
        envelope = polynomial_envelope(lengths, config.cutoff, config.envelope)
        radial = bessel_basis(lengths, config.cutoff, config.n_basis) * envelope[:, None]

        embedding = self.param("embedding", nn.initializers.normal(1.0), (self.n_species, config.channels))
        embedding = embedding.astype(vectors.dtype)
        features: Features = (embedding[species][:, None, :] * self.element_fan_in**-0.5,)
        irreps = layer_irreps(config.layers, config.l_max, config.parity, config.prune)
        for layer in range(config.layers):
            features = NequIPLayer(
                config,
                irreps[layer],
                irreps[layer + 1],
                self.n_species,
                self.element_fan_in,
                self.average_neighbours,
                name=f"layer_{layer}",
            )(features, species, harmonics, radial, edges)
        hidden = ScaledDense(config.channels // 2, name="readout_hidden")(features[0][:, 0])
        return ScaledDense(1, name="readout")(hidden)[:, 0]
