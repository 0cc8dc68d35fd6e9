"""PaiNN: equivariant messages of scalars and vectors (Schütt, Unke and Gastegger, ICML 2021, arXiv 2102.03150).

Its messages are a convolution with harmonics of degrees 0 and 1 (``equivariant/tensor_product.py``).

The blocks and their order are those of schnetpack 2, and so are their names, so that its weights can be copied one to
one. Two things differ in form, not in what is computed: the filters of a layer have their own ``filter_net_{i}``, where
schnetpack keeps those of all layers in one matrix (here each gets the initial scale of its own width), and the vectors,
which are zero before the first layer, are not sent there.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.equivariant.convolution import Edges
from compbench_jax.models.equivariant.couplings import Couplings
from compbench_jax.models.equivariant.pairs import undirected_pairs
from compbench_jax.models.equivariant.tensor_product import Features, convolve
from compbench_jax.models.layers.linear import CutDense
from compbench_jax.models.layers.radial import bessel_basis, cosine_cutoff
from compbench_jax.models.layers.safe import safe_norm, unit_vectors
from compbench_jax.models.potential import Normalisation

EPSILON = 1e-8
"""Added to a squared norm before its root in the mixing block, as in schnetpack: vectors start as zero."""


SCALARS = Couplings((0, 0), (0, 1), ((0, 0, 0), (1, 1, 1)), summed=True)
"""Scalars to scalars, and scalars times the direction of the edge to vectors."""

SCALARS_AND_VECTORS = Couplings((0, 0, 1), (0, 1), ((0, 0, 0), (1, 1, 1), (2, 0, 1)), summed=True)
"""And vectors to vectors."""


@dataclass(frozen=True)
class PaiNNConfig:
    """PaiNN (Schütt et al. 2021): messages of scalars and vectors, rotationally equivariant."""

    cutoff: float = 5.0
    """Å, radius within which atoms exchange messages."""
    features: int = 64
    """Scalar features of an atom; it has as many vectors."""
    interactions: int = 3
    """Interaction blocks, each a message and a mixing step."""
    n_basis: int = 20
    """Bessel functions that expand a distance."""
    direct_forces: bool = False
    """Direct (non-conservative) forces by a gated equivariant readout, not as the gradient of the energy: faster, but
    energy is not conserved."""

    kind: ClassVar[str] = "painn"
    citation: ClassVar[str] = "Schütt, Unke and Gastegger, ICML 2021, arXiv 2102.03150"

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: layers times cutoff."""
        return self.interactions * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        return PaiNN(self, n_species=len(normalisation.elements))


def _dense(features: int, name: str, use_bias: bool = True) -> nn.Dense:
    return nn.Dense(features, use_bias=use_bias, kernel_init=nn.initializers.xavier_uniform(), name=name)


class PaiNNInteraction(nn.Module):
    """Message block (figure 2b; eqs. 7 and 8): what the neighbours' scalars and vectors add to those of an atom."""

    features: int

    @nn.compact
    def __call__(
        self,
        q: jax.Array,
        mu: jax.Array | None,
        filters: jax.Array,
        harmonics: Features,
        edges: Edges,
    ) -> tuple[jax.Array, jax.Array]:
        """Update scalars ``q [n_node, features]`` and vectors ``mu [n_node, 3, features]`` (none: all are zero).

        Args:
            q: scalars.
            mu: vectors.
            filters: of each pair, ``[n_pair, 3 · features]``, zero at the cutoff.
            harmonics: ones ``[n_edge, 1]``, and unit vectors from receiver to sender, ``[n_edge, 3]``.
            edges: where they begin and end, and the pair of each.
        """
        x = nn.silu(_dense(self.features, "interatomic_context_net_0")(q))
        x = _dense(3 * self.features, "interatomic_context_net_1")(x)
        scalars, along_edge, along_vector = jnp.split(x[:, None], 3, axis=-1)
        sent = (scalars, along_edge) if mu is None else (scalars, along_edge, along_vector * mu)
        couplings = SCALARS if mu is None else SCALARS_AND_VECTORS
        weights = filters.reshape(-1, 3, self.features)[:, : len(sent)]
        dq, dmu = convolve(sent, harmonics, weights, edges.senders, edges.receivers, couplings, edges.rows)
        return q + dq[:, 0], dmu if mu is None else mu + dmu


class PaiNNMixing(nn.Module):
    """Update block (figure 2c; eqs. 9 and 10): mixes scalars and vectors of one atom."""

    features: int

    @nn.compact
    def __call__(self, q: jax.Array, mu: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Update scalars ``[n_node, features]`` and vectors ``[n_node, 3, features]``."""
        v, w = jnp.split(_dense(2 * self.features, "mu_channel_mix", use_bias=False)(mu), 2, axis=-1)
        norms = jnp.sqrt(jnp.sum(v * v, axis=1) + EPSILON)
        x = nn.silu(_dense(self.features, "intraatomic_context_net_0")(jnp.concatenate([q, norms], axis=-1)))
        x = _dense(3 * self.features, "intraatomic_context_net_1")(x)
        from_scalars, gates, from_products = jnp.split(x, 3, axis=-1)
        return q + from_scalars + from_products * jnp.sum(v * w, axis=1), mu + gates[:, None] * w


class GatedEquivariantBlock(nn.Module):
    """Gated equivariant nonlinearity (figure 3): scalars and vectors in, as many fewer of each out."""

    hidden: int
    features: int

    @nn.compact
    def __call__(self, q: jax.Array, mu: jax.Array) -> tuple[jax.Array, jax.Array]:
        """``[n_node, n]`` and ``[n_node, 3, n]`` in, ``[n_node, features]`` and ``[n_node, 3, features]`` out."""
        v, w = jnp.split(_dense(2 * self.features, "mix_vectors", use_bias=False)(mu), 2, axis=-1)
        norms = safe_norm(v.swapaxes(1, 2))
        x = nn.silu(_dense(self.hidden, "scalar_net_0")(jnp.concatenate([q, norms], axis=-1)))
        scalars, gates = jnp.split(_dense(2 * self.features, "scalar_net_1")(x), 2, axis=-1)
        return scalars, gates[:, None] * w


class PaiNN(nn.Module):
    """Atom energies, and with ``direct_forces`` forces; see :class:`compbench_jax.models.potential.Potential`."""

    config: PaiNNConfig
    n_species: int

    @nn.compact
    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array
    ) -> jax.Array | tuple[jax.Array, jax.Array]:
        """Node energies ``[n_node]`` in units of the normalisation's scale, and direct forces ``[n_node, 3]``."""
        config = self.config
        pairs = undirected_pairs(vectors, senders, receivers)
        edges, lengths = Edges(senders, receivers, pairs.rows), safe_norm(pairs.vectors)
        # The paper's vectors point from an atom to its neighbour, ours from sender to receiver.
        directions = -unit_vectors(vectors)[0]
        harmonics = (jnp.ones_like(directions[:, :1]), directions)
        # The paper's basis is sin(nπr/c) / r, without the factor √(2/c) of the normalised one.
        basis = bessel_basis(lengths, config.cutoff, config.n_basis) * (config.cutoff / 2) ** 0.5
        cutoff = cosine_cutoff(lengths, config.cutoff)[:, None]
        embed = nn.Embed(self.n_species, config.features, embedding_init=nn.initializers.normal(1.0), name="embedding")
        q = embed(species).astype(jnp.result_type(vectors, jnp.float32))
        mu = None
        for i in range(config.interactions):
            filters = CutDense(3 * config.features, name=f"filter_net_{i}")(basis, cutoff)
            q, mu = PaiNNInteraction(config.features, name=f"interaction_{i}")(q, mu, filters, harmonics, edges)
            q, mu = PaiNNMixing(config.features, name=f"mixing_{i}")(q, mu)
        half = config.features // 2
        if not config.direct_forces:
            return _dense(1, "outnet_1")(nn.silu(_dense(half, "outnet_0")(q)))[:, 0]
        assert mu is not None
        q, mu = GatedEquivariantBlock(config.features, half, name="outnet_0")(q, mu)
        q, mu = GatedEquivariantBlock(half, 1, name="outnet_1")(nn.silu(q), mu)
        return q[:, 0], mu[:, :, 0]
