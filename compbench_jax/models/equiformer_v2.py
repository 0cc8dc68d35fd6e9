"""EquiformerV2: equivariant attention with SO(2) convolutions (Liao, Wood, Das & Smidt, ICLR 2024, arXiv 2306.12059).

Features of a node are ``[(l_max + 1)², channels]``. A message is made in the frame of its edge (``edge_frame.py``) from
the features of both atoms: SO(2) convolution (``so2.py``) with factors from the distance and the two elements,
separable S² activation (``s2_activation.py``), SO(2) convolution; invariants of the first one, layer-normalised, give
the attention. A layer is attention and a feed-forward network on the sphere, each on layer-normalised features and
added to them. The blocks, their order and normalisation are those of the authors' program, with the options of their
31 M configuration, so that weights can be carried over.

Differences from the publication:

- energies and forces are smooth at the cutoff (``smooth_cutoff``): with an envelope u that falls to zero there,
  attention is u · (u eᵃ) / Σ u eᵃ in place of eᵃ / Σ eᵃ, and the edge-degree embedding has a factor u. A u in the
  softmax alone would not do: an atom with one neighbour attends to it with weight one up to the cutoff.
- forces are the energy's gradient, unless ``direct_forces`` asks for the published force head. The gauge of a frame is
  therefore a fixed function of the direction, and differentiated, where the authors draw it at random and detach it.
  The gauge matters through the finite grid of the S² activation only.
- the energy of a molecule is the sum over its atoms, not divided by a mean number of atoms.
- the latitudes of the grids are those of Gauss's rule unless ``gauss_grid`` is off (as in the paper preset).
- neighbours are all atoms within the cutoff, not the nearest twenty.
- dropout of attention weights and stochastic depth (0.1 each in the published training) are left out: training here
  has no random numbers after its initialisation.

The network commutes with rotations as exactly as the grid allows: in a small preset trained on alkanes for 300 steps,
turning butane changes its forces by 5, 0.6, 0.1, 0.02 and 0.0003 meV/Å (root mean square) with a ``grid_resolution`` of
6, 8, 10, 12 and 18. It does not commute with reflections: SO(2) convolutions keep no parity, so mirror images of a
chiral conformer may have different energies.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.errors import CompBenchError
from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.attention import smooth_attention, smooth_leaky_relu
from compbench_jax.models.layers.radial import gaussian_basis, polynomial_envelope
from compbench_jax.models.layers.safe import unit_vectors
from compbench_jax.models.potential import Normalisation
from compbench_jax.models.sphere.degree_layers import DegreeLinear, SeparableLayerNorm, layer_norm, uniform_fan_in
from compbench_jax.models.sphere.edge_frame import degrees_first, edge_frames, orders_first, truncation_scale
from compbench_jax.models.sphere.s2_activation import grid_matrices, on_grid, separable_activation
from compbench_jax.models.sphere.so2 import SO2Convolution, n_radial_weights


@dataclass(frozen=True)
class EquiformerV2Config:
    """EquiformerV2 (Liao et al. 2024): equivariant attention in the frames of the edges."""

    cutoff: float = 5.0
    """Å, radius within which atoms attend to each other."""
    layers: int = 2
    """Transformer layers."""
    channels: int = 32
    """Channels of every degree."""
    l_max: int = 2
    """Largest degree of the features."""
    m_max: int = 2
    """Largest order kept in the frame of an edge."""
    attention_channels: int = 16
    """Channels of a message between its two convolutions."""
    heads: int = 4
    """Attention heads."""
    alpha_channels: int = 16
    """Invariants per head from which its attention is computed."""
    value_channels: int = 8
    """Channels per head of the messages."""
    ffn_channels: int = 32
    """Hidden channels of the feed-forward networks."""
    edge_channels: int = 32
    """Hidden width of the radial networks, and of the element embeddings of an edge."""
    n_basis: int = 64
    """Gaussians that expand a distance; each is twice as wide as their spacing."""
    grid_resolution: int = 10
    """Points of the S² grids in each angle: more is slower and more exactly equivariant (l_max 4 needs 18)."""
    gauss_grid: bool = True
    """Latitudes of the grids by Gauss's rule: nearly half the points, as exact as the equidistant ones published."""
    envelope: int = 6
    """Exponent p of the polynomial envelope."""
    smooth_cutoff: bool = True
    """Let attention fall to zero at the cutoff; without, energies jump as an atom crosses it, as published."""
    direct_forces: bool = False
    """Direct (non-conservative) forces from a head of their own, as published, instead of the energy's gradient."""

    kind: ClassVar[str] = "equiformer_v2"
    citation: ClassVar[str] = "Liao et al., ICLR 2024, arXiv 2306.12059"

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if not 0 <= self.m_max <= self.l_max or self.l_max < 1:
            raise CompBenchError(
                f"EquiformerV2 with l_max {self.l_max} and m_max {self.m_max}: "
                "l_max must be at least 1, and m_max at most l_max"
            )
        if self.grid_resolution < 2 * (self.l_max + 1):
            raise CompBenchError(
                f"an S² grid of resolution {self.grid_resolution} can't hold degree {self.l_max}: "
                f"set grid_resolution to at least {2 * (self.l_max + 1)}"
            )

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: the edge-degree embedding and each layer reach one cutoff."""
        return (self.layers + 1) * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        return EquiformerV2(self, len(normalisation.elements), normalisation.average_neighbours)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Edges:
    """What the layers know of the edges; all arrays, the same for every layer.

    Attributes:
        senders: ``[n_edge]``.
        receivers: ``[n_edge]``, ascending.
        scalars: Gaussians of the length and the elements of sender and receiver, one-hot ``[n_edge, n_scalars]``.
        envelope: u, zero on padding ``[n_edge]``.
        frames: :func:`edge_frames` ``[n_edge, n, (l_max + 1)²]``.
    """

    senders: jax.Array
    receivers: jax.Array
    scalars: jax.Array
    envelope: jax.Array
    frames: jax.Array


class RadialFunction(nn.Module):
    """Network of the distance and the two elements of an edge: ``[n_edge, n_scalars] -> [n_edge, features]``."""

    hidden: int
    features: int
    n_species: int

    @nn.compact
    def __call__(self, scalars: jax.Array) -> jax.Array:
        """Apply to :attr:`Edges.scalars`: two hidden layers, each layer-normalised before its SiLU."""
        n_basis = scalars.shape[-1] - 2 * self.n_species
        near_zero = nn.initializers.uniform(0.002)
        source, target = (
            self.param(name, lambda *a: near_zero(*a) - 0.001, (self.n_species, self.hidden))
            for name in ("source", "target")
        )
        kernel = self.param("kernel", uniform_fan_in, (n_basis + 2 * self.hidden, self.hidden))
        bias = self.param("bias", nn.initializers.zeros, (self.hidden,))
        # The first layer sees [basis, embedding of sender, embedding of receiver]. Embeddings times weights are a small
        # matrix for each side, which the one-hot elements pick from in the same product as the basis.
        basis, of_source, of_target = jnp.split(kernel, [n_basis, n_basis + self.hidden])
        x = scalars @ jnp.concatenate([basis, source @ of_source, target @ of_target]) + bias
        x = nn.silu(layer_norm("norm_0")(x))
        x = nn.silu(layer_norm("norm_1")(nn.Dense(self.hidden, kernel_init=uniform_fan_in, name="dense_1")(x)))
        return nn.Dense(self.features, kernel_init=uniform_fan_in, name="dense_2")(x)


class EdgeDegreeEmbedding(nn.Module):
    """Features of a node from the distances, directions and elements of its neighbours (paper, appendix C)."""

    config: EquiformerV2Config
    n_species: int
    average_neighbours: float

    @nn.compact
    def __call__(self, edges: Edges, n_node: int) -> jax.Array:
        """``[n_node, (l_max + 1)², channels]``."""
        config = self.config
        degrees = config.l_max + 1
        # In the frame of an edge, its direction has components of order 0 only, which are the first in every frame.
        radial = RadialFunction(config.edge_channels, degrees * config.channels, self.n_species, name="radial")
        weights = radial(edges.scalars)
        weights = weights.reshape(-1, degrees, config.channels) * edges.envelope[:, None, None]
        scale = truncation_scale(orders_first(config.l_max, config.m_max), config.m_max)[:degrees]
        frames = edges.frames[:, :degrees] * jnp.asarray(scale, weights.dtype)[:, None]
        messages = jnp.einsum("eab,eac->ebc", frames, weights)
        return sum_to_receivers(messages, edges.receivers, n_node) / self.average_neighbours


class GraphAttention(nn.Module):
    """Equivariant graph attention (paper, sections 4.1 and 4.2 and figure 1b)."""

    config: EquiformerV2Config
    n_species: int
    features: int

    @nn.compact
    def __call__(self, x: jax.Array, edges: Edges) -> jax.Array:
        """``[n_node, (l_max + 1)², channels] -> [n_node, (l_max + 1)², features]``."""
        config = self.config
        components = orders_first(config.l_max, config.m_max)
        hidden, n_alpha = config.attention_channels, config.heads * config.alpha_channels
        n_weights = n_radial_weights(config.l_max, config.m_max, 2 * config.channels)
        weights = RadialFunction(config.edge_channels, n_weights, self.n_species, name="radial")(edges.scalars)

        pairs = jnp.concatenate([x[edges.senders], x[edges.receivers]], axis=-1)
        pairs = jnp.einsum("eab,ebc->eac", edges.frames, pairs)
        message, invariants = SO2Convolution(
            config.l_max, config.m_max, hidden, extra=n_alpha + hidden, name="convolution_1"
        )(pairs, weights)
        grid = grid_matrices(components, config.l_max, config.m_max, config.grid_resolution, config.gauss_grid)
        message = separable_activation(message, invariants[:, n_alpha:], grid)
        message, _ = SO2Convolution(
            config.l_max, config.m_max, config.heads * config.value_channels, name="convolution_2"
        )(message)

        alpha = invariants[:, :n_alpha].reshape(-1, config.heads, config.alpha_channels)
        alpha = smooth_leaky_relu(layer_norm("alpha_norm")(alpha))
        initial = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", in_axis=-1, out_axis=-2)
        dot = self.param("alpha_dot", initial, (config.heads, config.alpha_channels))
        attention = smooth_attention(jnp.einsum("ehk,hk->eh", alpha, dot), edges.envelope, edges.receivers, x.shape[0])
        message = message * jnp.repeat(attention, config.value_channels, axis=-1)[:, None]
        scale = jnp.asarray(truncation_scale(components, config.m_max), x.dtype)
        message = jnp.einsum("eab,eac->ebc", edges.frames, message * scale[:, None])
        return DegreeLinear(self.features, config.l_max, name="projection")(
            sum_to_receivers(message, edges.receivers, x.shape[0])
        )


class FeedForward(nn.Module):
    """Pointwise network on the sphere, with scalars of their own (paper, section 4.2 and figure 1d)."""

    config: EquiformerV2Config
    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[n, (l_max + 1)², channels] -> [n, (l_max + 1)², features]``."""
        config = self.config
        width, l_max = config.ffn_channels, config.l_max
        scalars = nn.silu(nn.Dense(width, kernel_init=uniform_fan_in, name="scalars")(x[:, :1]))
        x = DegreeLinear(width, l_max, name="linear_1")(x)
        layers = [nn.Dense(width, use_bias=False, kernel_init=uniform_fan_in, name=f"grid_{i}") for i in range(3)]
        to_grid, from_grid = grid_matrices(
            degrees_first(l_max), l_max, l_max, config.grid_resolution, config.gauss_grid
        )
        # The component of degree 0 comes from the scalars, so it is not read off the grid.
        rest = on_grid(x, lambda v: layers[2](nn.silu(layers[1](nn.silu(layers[0](v))))), (to_grid, from_grid[1:]))
        return DegreeLinear(self.features, l_max, name="linear_2")(jnp.concatenate([scalars, rest], axis=1))


class TransformerBlock(nn.Module):
    """One layer: x + attention(norm(x)), then x + feed-forward(norm(x)) (paper, figure 1a)."""

    config: EquiformerV2Config
    n_species: int

    @nn.compact
    def __call__(self, x: jax.Array, edges: Edges) -> tuple[jax.Array, None]:
        """Update ``[n_node, (l_max + 1)², channels]``; a pair, as a scan over layers wants it."""
        config = self.config
        attention = GraphAttention(config, self.n_species, config.channels, name="attention")
        x = x + attention(SeparableLayerNorm(config.l_max, name="norm_1")(x), edges)
        x = x + FeedForward(config, config.channels, name="ffn")(SeparableLayerNorm(config.l_max, name="norm_2")(x))
        return x, None


class EquiformerV2(nn.Module):
    """Atom energies, and forces if direct; see :class:`compbench_jax.models.potential.Potential`."""

    config: EquiformerV2Config
    n_species: int
    average_neighbours: float

    @nn.compact
    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array
    ) -> jax.Array | tuple[jax.Array, jax.Array]:
        """Node energies ``[n_node]``, with ``direct_forces`` node forces ``[n_node, 3]`` too, in units of the scale."""
        config = self.config
        n_node = species.shape[0]
        directions, lengths = unit_vectors(vectors)
        scalars = [
            gaussian_basis(lengths, config.cutoff, config.n_basis, width=2.0),
            nn.one_hot(species[senders], self.n_species, dtype=vectors.dtype),
            nn.one_hot(species[receivers], self.n_species, dtype=vectors.dtype),
        ]
        if config.smooth_cutoff:
            # Rounding can take the envelope below zero close to the cutoff, and a sum of envelopes through zero.
            envelope = jnp.maximum(polynomial_envelope(lengths, config.cutoff, config.envelope), 0)
        else:
            envelope = ((lengths > 0) & (lengths < config.cutoff)).astype(vectors.dtype)
        # The authors' edges point from receiver to sender.
        frames = edge_frames(-directions, config.l_max, config.m_max)
        edges = Edges(senders, receivers, jnp.concatenate(scalars, axis=-1), envelope, frames)

        normal = nn.initializers.normal(1.0)
        embedding = nn.Embed(self.n_species, config.channels, embedding_init=normal, name="embedding")
        degree = EdgeDegreeEmbedding(config, self.n_species, self.average_neighbours, name="edge_degree")
        x = degree(edges, n_node).at[:, 0].add(embedding(species))
        # The layers are alike: a scan compiles one of them. Their parameters have an axis of layers first.
        blocks = nn.scan(
            TransformerBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=config.layers,
        )
        x, _ = blocks(config, self.n_species, name="blocks")(x, edges)
        x = SeparableLayerNorm(config.l_max, name="norm")(x)
        energies = FeedForward(config, 1, name="energy")(x)[:, 0, 0]
        if not config.direct_forces:
            return energies
        return energies, GraphAttention(config, self.n_species, 1, name="forces")(x, edges)[:, 1:4, 0]
