"""SchNet: continuous-filter convolutions (Schütt et al., NeurIPS 2017, arXiv 1706.08566; J. Chem. Phys. 148, 241722).

The blocks and their order are those of schnetpack 2 (``in2f``, ``filter_network``, ``f2out``), so that its weights can
be copied one to one. The output network uses the paper's shifted softplus, which schnetpack's ``Atomwise`` calls
``activation=shifted_softplus`` (its default there is SiLU).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.equivariant.pairs import undirected_pairs
from compbench_jax.models.equivariant.tensor_product import convolve
from compbench_jax.models.layers.radial import cosine_cutoff, gaussian_basis
from compbench_jax.models.layers.radial_table import radial_weights
from compbench_jax.models.layers.safe import safe_norm
from compbench_jax.models.potential import Normalisation


@dataclass(frozen=True)
class SchNetConfig:
    """SchNet (Schütt et al. 2017): invariant, continuous-filter convolutions on interatomic distances."""

    cutoff: float = 5.0
    """Å, radius within which atoms exchange messages."""
    features: int = 64
    """Features of an atom."""
    interactions: int = 3
    """Interaction blocks."""
    n_basis: int = 50
    """Gaussians that expand a distance."""
    filters: int | None = None
    """Channels of the continuous filters; None: as many as features."""

    kind: ClassVar[str] = "schnet"
    citation: ClassVar[str] = "Schütt et al., NeurIPS 2017, arXiv 1706.08566"

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: layers times cutoff."""
        return self.interactions * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        return SchNet(self, n_species=len(normalisation.elements))


@jax.custom_jvp
def shifted_softplus(x: jax.Array) -> jax.Array:
    """ssp(x) = ln(½ eˣ + ½), zero at zero (Schütt et al. 2017, section 4.2)."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))) - math.log(2.0)


@shifted_softplus.defjvp
def _shifted_softplus(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return shifted_softplus(primals[0]), nn.sigmoid(primals[0]) * tangents[0]


def _dense(features: int, name: str, use_bias: bool = True) -> nn.Dense:
    return nn.Dense(features, use_bias=use_bias, kernel_init=nn.initializers.xavier_uniform(), name=name)


class SchNetInteraction(nn.Module):
    """One interaction block: x_i ← x_i + f2out(Σ_j in2f(x_j) ∘ W(r_ij) f_c(r_ij)) (2017, eq. 2 and figure 2)."""

    features: int
    filters: int
    cutoff: float

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        lengths: jax.Array,
        basis: jax.Array,
        envelope: jax.Array,
        senders: jax.Array,
        receivers: jax.Array,
        rows: jax.Array,
    ) -> jax.Array:
        """Update atom features ``[n_node, features]``.

        Args:
            x: the features.
            lengths: of the pairs, Å ``[n_pair]``.
            basis: Gaussians of the lengths, ``[n_pair, n_basis]``.
            envelope: cutoff function of the lengths, ``[n_pair]``.
            senders: of the edges.
            receivers: of the edges.
            rows: the pair of each edge.
        """
        filters = shifted_softplus(_dense(self.filters, "filter_0")(basis))
        filters = _dense(self.filters, "filter_1")(filters) * envelope[:, None]
        filters = radial_weights(self, filters, lengths, self.cutoff)
        sent = _dense(self.filters, "in2f", use_bias=False)(x)[:, None]
        ones = jnp.ones((senders.shape[0], 1), sent.dtype)
        (received,) = convolve((sent,), (ones,), filters[:, None], senders, receivers, 0, rows)
        update = shifted_softplus(_dense(self.features, "f2out_0")(received[:, 0]))
        return x + _dense(self.features, "f2out_1")(update)


class SchNet(nn.Module):
    """Atom energies from interatomic distances; see :class:`compbench_jax.models.potential.Potential`."""

    config: SchNetConfig
    n_species: int

    tabulates: ClassVar[bool] = True
    """Tables of the filters take two fifths off the time of energies and forces on a CPU."""

    @nn.compact
    def __call__(self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        config = self.config
        pairs = undirected_pairs(vectors, senders, receivers)
        lengths = safe_norm(pairs.vectors)
        basis = gaussian_basis(lengths, config.cutoff, config.n_basis)
        envelope = cosine_cutoff(lengths, config.cutoff)
        embed = nn.Embed(self.n_species, config.features, embedding_init=nn.initializers.normal(1.0), name="embedding")
        x = embed(species).astype(jnp.result_type(vectors, jnp.float32))
        filters = config.features if config.filters is None else config.filters
        for i in range(config.interactions):
            x = SchNetInteraction(config.features, filters, config.cutoff, name=f"interaction_{i}")(
                x, lengths, basis, envelope, senders, receivers, pairs.rows
            )
        hidden = shifted_softplus(_dense(config.features // 2, "output_0")(x))
        return _dense(1, "output_1")(hidden)[:, 0]
