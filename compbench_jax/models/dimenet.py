"""DimeNet++: directional messages between edges (Gasteiger et al. 2020, arXiv 2011.14115; DimeNet: arXiv 2003.03123).

The blocks and their order are those of torch_geometric's ``DimeNetPlusPlus``, so that weights can be carried over, and
so are the initial weights, save for the last layer's. As there, and in the authors' program, the bases are of the
scaled distance x = d/c and divided by it (u(x)/x · sin(nπx) and u(x)/x · j_l(z_ln x)), which differs from the paper's
by constants and, in the second, by the 1/x. Where ours differs in form, but not in value:

- spherical Bessel functions are summed as a Chebyshev series, accurate in float32 (``angular.py``);
- the angle enters by its cosine, which is smooth where three atoms are in line;
- triplets are summed by dense products, a matrix an atom, after the basis has been multiplied into the messages.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.angular import spherical_bessel_basis
from compbench_jax.models.layers.orthogonal import glorot_orthogonal
from compbench_jax.models.layers.radial import polynomial_envelope
from compbench_jax.models.layers.safe import safe_divide, unit_vectors
from compbench_jax.models.layers.triplets import reverse_edges, slot_harmonics, to_edges, to_slots
from compbench_jax.models.potential import Normalisation


@dataclass(frozen=True)
class DimeNetConfig:
    """DimeNet++ (Gasteiger et al. 2020): messages along edges that depend on the angles between them."""

    cutoff: float = 5.0
    """Å, radius within which atoms exchange messages."""
    features: int = 64
    """Features of a directed edge."""
    blocks: int = 3
    """Interaction blocks."""
    triplet_features: int = 32
    """Features of an edge in the sum over triplets (down-projected)."""
    basis_features: int = 8
    """Width to which the bases are projected first."""
    output_features: int = 128
    """Features of an atom in the output blocks."""
    n_spherical: int = 7
    """Degrees of the angular basis."""
    n_basis: int = 6
    """Radial functions, of the distances and of each degree."""
    envelope: int = 6
    """Exponent p of the polynomial envelope."""
    before_skip: int = 1
    """Residual layers before the skip connection of an interaction block."""
    after_skip: int = 2
    """Residual layers after it."""
    output_layers: int = 3
    """Hidden layers of an output block."""

    kind: ClassVar[str] = "dimenet"
    citation: ClassVar[str] = "Gasteiger et al., NeurIPS 2020 workshop, arXiv 2011.14115"
    triplets: ClassVar[bool] = True

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: its edges, and one edge more in every block."""
        return (self.blocks + 1) * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        return DimeNetPlusPlus(self, n_species=len(normalisation.elements))


def _dense(features: int, name: str, use_bias: bool = True) -> nn.Dense:
    return nn.Dense(features, use_bias=use_bias, kernel_init=glorot_orthogonal, name=name)


def _small_glorot_orthogonal(*args: Any) -> jax.Array:
    """For energies: the authors start from zero or from a hundred times this, with forces a hundred times the usual."""
    return 0.01 * glorot_orthogonal(*args)


class Residual(nn.Module):
    """x + σ(W₂ σ(W₁ x)), with biases."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Update ``[..., features]``."""
        return x + nn.silu(_dense(self.features, "lin2")(nn.silu(_dense(self.features, "lin1")(x))))


class Embedding(nn.Module):
    """Edge features from its two atoms and its length (2003.03123, figure 4, embedding block)."""

    config: DimeNetConfig
    n_species: int

    @nn.compact
    def __call__(self, species: jax.Array, rbf: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        """Edge features ``[n_edge, features]`` from ``rbf [n_edge, n_basis]``."""
        features = self.config.features
        uniform = nn.initializers.uniform(2 * 3**0.5)
        table = self.param("atoms", lambda *args: uniform(*args) - 3**0.5, (self.n_species, features))
        atoms = table.astype(rbf.dtype)[species]
        length = nn.silu(nn.Dense(features, name="lin_rbf")(rbf))
        joined = jnp.concatenate([atoms[receivers], atoms[senders], length], -1)
        return nn.silu(nn.Dense(features, name="lin")(joined))


class Interaction(nn.Module):
    """Messages from edges k → j to edges j → i (2011.14115, section 3 and figure 1)."""

    config: DimeNetConfig

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        rbf: jax.Array,
        radial: jax.Array,
        angular: jax.Array,
        reverse: jax.Array,
        receivers: jax.Array,
        triplets: jax.Array,
    ) -> jax.Array:
        """Update edge features ``[n_edge, features]``.

        ``rbf [n_edge, n_basis]`` and ``radial [n_edge, n_spherical, n_basis]`` are the bases of distance,
        ``angular [n_node, n_spherical, n_incoming, n_incoming]`` that of angle, ``reverse [n_edge]`` the edges i → j.
        """
        config = self.config
        x_ji = nn.silu(_dense(config.features, "lin_ji")(x))
        x_kj = nn.silu(_dense(config.features, "lin_kj")(x))
        weights = _dense(config.features, "lin_rbf2", False)(_dense(config.basis_features, "lin_rbf1", False)(rbf))
        x_kj = nn.silu(_dense(config.triplet_features, "lin_down", False)(x_kj * weights))

        # Σ_k x_kj ∘ W₂ W₁ (R_ln(kj) Y_l(kji)): all but Y depends on the edge kj alone and is multiplied there.
        shape = (config.n_spherical, config.n_basis, config.basis_features)
        first = self.param("lin_sbf1", glorot_orthogonal, shape).astype(x.dtype)
        weights = _dense(config.triplet_features, "lin_sbf2", False)(jnp.einsum("eln,lnb->elb", radial, first))
        messages = to_slots(weights * x_kj[:, None, :], triplets)
        received = jnp.einsum("nlab,nblc->nac", angular, messages)
        # The slot of an edge i → j holds the sum for j → i.
        received = to_edges(received, triplets, receivers)[reverse]

        h = x_ji + nn.silu(_dense(config.features, "lin_up", False)(received))
        for i in range(config.before_skip):
            h = Residual(config.features, name=f"before_skip_{i}")(h)
        h = nn.silu(_dense(config.features, "lin")(h)) + x
        for i in range(config.after_skip):
            h = Residual(config.features, name=f"after_skip_{i}")(h)
        return h


class Output(nn.Module):
    """Atom energies from the edges that end at an atom (2011.14115, figure 1, output block)."""

    config: DimeNetConfig

    @nn.compact
    def __call__(self, x: jax.Array, rbf: jax.Array, receivers: jax.Array, n_node: int) -> jax.Array:
        """Energies ``[n_node]`` from edge features ``[n_edge, features]``."""
        config = self.config
        weighted = _dense(config.features, "lin_rbf", False)(rbf) * x
        atoms = sum_to_receivers(weighted, receivers, n_node)
        atoms = _dense(config.output_features, "lin_up", False)(atoms)
        for i in range(config.output_layers):
            atoms = nn.silu(_dense(config.output_features, f"lin_{i}")(atoms))
        return nn.Dense(1, use_bias=False, kernel_init=_small_glorot_orthogonal, name="lin")(atoms)[:, 0]


class DimeNetPlusPlus(nn.Module):
    """Atom energies from directional messages; see :class:`compbench_jax.models.potential.Potential`."""

    config: DimeNetConfig
    n_species: int

    @nn.compact
    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array, triplets: jax.Array
    ) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        config = self.config
        directions, lengths = unit_vectors(vectors)
        scaled = lengths / config.cutoff
        envelope = safe_divide(polynomial_envelope(lengths, config.cutoff, config.envelope), scaled)
        start = np.pi * np.arange(1, config.n_basis + 1)
        frequencies = self.param("frequencies", lambda _: jnp.asarray(start, jnp.float32)).astype(vectors.dtype)
        rbf = envelope[:, None] * jnp.sin(frequencies * scaled[:, None])
        radial = envelope[:, None, None] * spherical_bessel_basis(scaled, config.n_spherical, config.n_basis)
        # The basis is of the angle between k → j and j → i; two edges that end at j make its supplement.
        signs = jnp.asarray((-1.0) ** np.arange(config.n_spherical), vectors.dtype)
        radial = radial * signs[:, None]
        angular = slot_harmonics(directions, triplets, config.n_spherical)
        reverse = reverse_edges(senders)

        x = Embedding(config, self.n_species, name="embedding")(species, rbf, senders, receivers)
        n_node = species.shape[0]
        energies = Output(config, name="output_0")(x, rbf, receivers, n_node)
        for i in range(config.blocks):
            block = Interaction(config, name=f"interaction_{i}")
            x = block(x, rbf, radial, angular, reverse, receivers, triplets)
            energies += Output(config, name=f"output_{i + 1}")(x, rbf, receivers, n_node)
        return energies
