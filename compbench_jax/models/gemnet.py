"""GemNet-T: directional messages with edge and atom updates (Gasteiger, Becker, Günnemann 2021, arXiv 2106.08903).

This is the variant with triplets only (the paper's section 5, "GemNet-T"), without the quadruplets of GemNet-Q. Blocks
and their order are those of the Open Catalyst Project's ``gemnet_t``, so that weights can be carried over one to one;
the circular basis is the paper's (j_l of the distance, eq. 9), where that program multiplies all degrees by the same
radial functions. An edge c → a is called "ca" below, its triplets are the edges b → a, b ≠ c, as in the paper.

The network keeps variances constant by scaling factors after sums and products (section 6), which the authors fit on
data before training. Here the initialisation of the parameters does so, in one pass over its batch (the first of the
run): each factor becomes √(variance before / variance after), over the real edges and atoms, all earlier ones being in
place. From there they are trained like all parameters, where the authors keep them. ``fitted_scales=False`` starts them
from analytic values instead, from the number of terms alone: n^(−1/2) for a sum of about n, 1 for a product.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.angular import spherical_bessel_basis
from compbench_jax.models.layers.orthogonal import he_orthogonal
from compbench_jax.models.layers.radial import polynomial_envelope
from compbench_jax.models.layers.safe import safe_divide, unit_vectors
from compbench_jax.models.layers.triplets import reverse_edges, slot_harmonics, to_edges, to_slots
from compbench_jax.models.potential import Normalisation

HALF = 0.5**0.5
"""1/√2: keeps the variance of a sum of two."""


@dataclass(frozen=True)
class GemNetConfig:
    """GemNet-T (Gasteiger et al. 2021): messages between edges that depend on angles, with atom and edge updates."""

    cutoff: float = 5.0
    """Å, radius within which atoms exchange messages."""
    atom_features: int = 64
    """Features of an atom."""
    edge_features: int = 64
    """Features of a directed edge."""
    blocks: int = 2
    """Interaction blocks."""
    triplet_features: int = 32
    """Features of an edge in the sum over triplets (down-projected)."""
    bilinear_features: int = 32
    """Features that come out of the bilinear layer."""
    radial_features: int = 16
    """Width to which the radial basis is projected, once for all blocks."""
    circular_features: int = 16
    """Width to which the circular basis is projected, once for all blocks."""
    n_spherical: int = 7
    """Degrees of the angular basis."""
    n_basis: int = 6
    """Radial functions, of the distances and of each degree."""
    envelope: int = 5
    """Exponent p of the polynomial envelope."""
    before_skip: int = 1
    """Residual layers of an edge before the skip connection of a block."""
    after_skip: int = 1
    """Residual layers of an edge after it."""
    after_concat: int = 1
    """Residual layers of an edge after it has seen the new atoms."""
    atom_layers: int = 2
    """Residual layers of an atom in atom updates and output blocks."""
    fitted_scales: bool = True
    """Fit the scaling factors on the first batch; otherwise they start from the number of neighbours."""
    direct_forces: bool = False
    """Direct (non-conservative) forces along the edges (GemNet-dT) instead of the energy's gradient: faster."""

    kind: ClassVar[str] = "gemnet"
    citation: ClassVar[str] = "Gasteiger, Becker, Günnemann, NeurIPS 2021, arXiv 2106.08903"
    triplets: ClassVar[bool] = True

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: its edges, and two more in every block (triplets, atoms)."""
        return (2 * self.blocks + 1) * self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network for these elements."""
        return GemNetT(self, len(normalisation.elements), normalisation.average_neighbours)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Edges:
    """Edges c → a of a batch, and what all blocks need of them.

    Attributes:
        senders, receivers: atoms c and a, ``[n_edge]``.
        reverse: edges a → c, ``[n_edge]``.
        triplets: edges that end at each atom, ``[n_node, n_incoming]``.
        radial: bases of d_ca, projected for triplets, atom updates and outputs, each ``[n_edge, radial_features]``.
        circular: radial part of the circular basis, projected, ``[n_edge, circular_features, n_spherical]``.
        angular: Y_l⁰ of the angles cab, ``[n_node, n_spherical, n_incoming, n_incoming]``.
        real: false for padding edges, ``[n_edge]``.
        joined: atoms that have edges, ``[n_node]``.
    """

    senders: jax.Array
    receivers: jax.Array
    reverse: jax.Array
    triplets: jax.Array
    radial: dict[str, jax.Array]
    circular: jax.Array
    angular: jax.Array
    real: jax.Array
    joined: jax.Array


def scaled_silu(x: jax.Array) -> jax.Array:
    """SiLU(x) / 0.6, which about preserves the variance of a standard normal (section 6)."""
    return nn.silu(x) * (1 / 0.6)


class Dense(nn.Module):
    """Linear layer without bias, with the scaled SiLU if ``active``."""

    features: int
    active: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[..., inputs] -> [..., features]``."""
        y = nn.Dense(self.features, use_bias=False, kernel_init=he_orthogonal, name="linear")(x)
        return scaled_silu(y) if self.active else y


class Residual(nn.Module):
    """(x + σ(W₂ σ(W₁ x))) / √2."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Update ``[..., features]``."""
        return (x + Dense(self.features, name="1")(Dense(self.features, name="0")(x))) * HALF


class ScaleFactor(nn.Module):
    """A factor that starts by giving ``x`` the variance of ``reference``, see the top of this file."""

    fitted: bool
    analytic: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array, reference: jax.Array, rows: jax.Array, reference_rows: jax.Array) -> jax.Array:
        """Scaled ``x [n, ...]``; ``rows [n]`` and ``reference_rows`` say which rows count."""

        def fit(_: Any) -> jax.Array:
            if not self.fitted:
                return jnp.asarray(self.analytic, jnp.float32)
            before, after = _variance(reference, reference_rows), _variance(x, rows)
            usable = (before > 0) & (after > 0)
            ratio = jnp.where(usable, before, self.analytic**2) / jnp.where(usable, after, 1.0)
            return jnp.sqrt(ratio).astype(jnp.float32)

        return x * self.param("scale", fit).astype(x.dtype)


def _variance(x: jax.Array, rows: jax.Array) -> jax.Array:
    """Mean over the features of the variance over some rows of ``x [n, ...]``."""
    count = jnp.maximum(rows.sum(), 1)
    weights = rows.reshape(-1, *([1] * (x.ndim - 1)))
    centred = jnp.where(weights, x - jnp.where(weights, x, 0).sum(0) / count, 0)
    return jnp.mean((centred * centred).sum(0) / count)


class EdgeEmbedding(nn.Module):
    """σ(W (h_c ∥ h_a ∥ m)): edge features from atoms and older edge features or the radial basis."""

    features: int

    @nn.compact
    def __call__(self, h: jax.Array, m: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        """``[n_edge, features]``."""
        return Dense(self.features, name="dense")(jnp.concatenate([h[senders], h[receivers], m], -1))


class TripletInteraction(nn.Module):
    """Messages from edges b → a to edges c → a and, reversed, a → c (section 5 and figure 2)."""

    config: GemNetConfig
    average_neighbours: float

    @nn.compact
    def __call__(self, m: jax.Array, edges: Edges) -> jax.Array:
        """Messages ``[n_edge, edge_features]``."""
        config = self.config
        x_ba = Dense(config.edge_features, name="dense_ba")(m)
        weighted = x_ba * Dense(config.edge_features, False, name="mlp_rbf")(edges.radial["triplet"])
        x_ba = ScaleFactor(config.fitted_scales, name="scale_rbf")(weighted, x_ba, edges.real, edges.real)
        x_ba = Dense(config.triplet_features, name="down_projection")(x_ba)

        # The efficient bilinear layer (section 5): first the sum over b, then the radial part, then the weights.
        sums = jnp.einsum("nlab,nbd->nald", edges.angular, to_slots(x_ba, edges.triplets))
        sums = to_edges(sums, edges.triplets, edges.receivers)
        products = jnp.einsum("eil,eld->eid", edges.circular, sums)
        shape = (config.triplet_features, config.circular_features, config.bilinear_features)
        weight = self.param("bilinear", he_orthogonal, shape).astype(m.dtype)
        x = products.reshape(len(m), -1) @ weight.swapaxes(0, 1).reshape(-1, config.bilinear_features)
        terms = max(self.average_neighbours - 1, 1.0)
        x = ScaleFactor(config.fitted_scales, terms**-0.5, name="scale_cbf_sum")(x, x_ba, edges.real, edges.real)

        x_ca = Dense(config.edge_features, name="up_projection_ca")(x)
        x_ac = Dense(config.edge_features, name="up_projection_ac")(x)
        return (x_ca + x_ac[edges.reverse]) * HALF


class AtomUpdate(nn.Module):
    """Atom features from the edges that end at the atom (figure 2, atom update; inside the output blocks too)."""

    config: GemNetConfig
    average_neighbours: float
    use: str
    """Which projection of the radial basis weighs the edges."""

    @nn.compact
    def __call__(self, m: jax.Array, edges: Edges) -> jax.Array:
        """``[n_edge, edge_features] -> [n_node, atom_features]``."""
        config = self.config
        weighted = m * Dense(config.edge_features, False, name="dense_rbf")(edges.radial[self.use])
        x = sum_to_receivers(weighted, edges.receivers, len(edges.joined))
        factor = ScaleFactor(config.fitted_scales, max(self.average_neighbours, 1.0) ** -0.5, name="scale_sum")
        x = Dense(config.atom_features, name="layers_0")(factor(x, m, edges.joined, edges.real))
        for i in range(config.atom_layers):
            x = Residual(config.atom_features, name=f"layers_{i + 1}")(x)
        return x


class Interaction(nn.Module):
    """One block: triplets, edge update, atom update, edge update from atoms (figure 2)."""

    config: GemNetConfig
    average_neighbours: float

    @nn.compact
    def __call__(self, h: jax.Array, m: jax.Array, edges: Edges) -> tuple[jax.Array, jax.Array]:
        """Update atoms ``h [n_node, atom_features]`` and edges ``m [n_edge, edge_features]``."""
        config = self.config
        received = TripletInteraction(config, self.average_neighbours, name="trip_interaction")(m, edges)
        x = (Dense(config.edge_features, name="dense_ca")(m) + received) * HALF
        for i in range(config.before_skip):
            x = Residual(config.edge_features, name=f"before_skip_{i}")(x)
        m = (m + x) * HALF
        for i in range(config.after_skip):
            m = Residual(config.edge_features, name=f"after_skip_{i}")(m)
        h = (h + AtomUpdate(config, self.average_neighbours, "atom", name="atom_update")(m, edges)) * HALF
        x = EdgeEmbedding(config.edge_features, name="concat")(h, m, edges.senders, edges.receivers)
        for i in range(config.after_concat):
            x = Residual(config.edge_features, name=f"residual_m_{i}")(x)
        return h, (m + x) * HALF


class Output(nn.Module):
    """Contributions of one block to the atoms' energies and, for direct forces, to the forces along the edges."""

    config: GemNetConfig
    average_neighbours: float

    @nn.compact
    def __call__(self, m: jax.Array, edges: Edges) -> tuple[jax.Array, jax.Array]:
        """Energies ``[n_node]`` and forces along edges ``[n_edge]`` (zero unless they are asked for)."""
        config = self.config
        atoms = AtomUpdate(config, self.average_neighbours, "output", name="atoms")(m, edges)
        energies = Dense(1, False, name="out_energy")(atoms)[:, 0]
        if not config.direct_forces:
            return energies, jnp.zeros(len(m), m.dtype)
        x = Dense(config.edge_features, name="seq_forces_0")(m)
        for i in range(config.atom_layers):
            x = Residual(config.edge_features, name=f"seq_forces_{i + 1}")(x)
        weighted = x * Dense(config.edge_features, False, name="dense_rbf_forces")(edges.radial["output"])
        x = ScaleFactor(config.fitted_scales, name="scale_rbf_forces")(weighted, x, edges.real, edges.real)
        return energies, Dense(1, False, name="out_forces")(x)[:, 0]


class GemNetT(nn.Module):
    """Atom energies from directional messages; see :class:`compbench_jax.models.potential.Potential`."""

    config: GemNetConfig
    n_species: int
    average_neighbours: float

    @nn.compact
    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array, triplets: jax.Array
    ) -> Any:
        """Node energies ``[n_node]``, and with ``direct_forces`` node forces ``[n_node, 3]``, in units of scale."""
        config, n_node = self.config, species.shape[0]
        directions, lengths = unit_vectors(vectors)
        rbf, edges = self._edges(directions, lengths, senders, receivers, triplets)
        uniform = nn.initializers.uniform(2 * 3**0.5)
        table = self.param("atoms", lambda *args: uniform(*args) - 3**0.5, (self.n_species, config.atom_features))
        h = table.astype(vectors.dtype)[species]
        m = EdgeEmbedding(config.edge_features, name="edge_embedding")(h, rbf, senders, receivers)
        energies, along = Output(config, self.average_neighbours, name="output_0")(m, edges)
        for i in range(config.blocks):
            h, m = Interaction(config, self.average_neighbours, name=f"interaction_{i}")(h, m, edges)
            more = Output(config, self.average_neighbours, name=f"output_{i + 1}")(m, edges)
            energies, along = energies + more[0], along + more[1]
        if not config.direct_forces:
            return energies
        return energies, sum_to_receivers(along[:, None] * directions, receivers, n_node)

    def _edges(
        self,
        directions: jax.Array,
        lengths: jax.Array,
        senders: jax.Array,
        receivers: jax.Array,
        triplets: jax.Array,
    ) -> tuple[jax.Array, Edges]:
        """Radial basis (eq. 7 of arXiv 2003.03123, frequencies trained) and what the blocks share."""
        config, dtype = self.config, lengths.dtype
        envelope = polynomial_envelope(lengths, config.cutoff, config.envelope)
        start = np.pi * np.arange(1, config.n_basis + 1)
        frequencies = self.param("frequencies", lambda _: jnp.asarray(start, jnp.float32)).astype(dtype)
        waves = jnp.sin(frequencies * (lengths / config.cutoff)[:, None])
        norm = (2.0 / config.cutoff) ** 0.5
        rbf = safe_divide(norm * waves, lengths[:, None]) * envelope[:, None]

        bessel = spherical_bessel_basis(lengths / config.cutoff, config.n_spherical, config.n_basis)
        bessel = config.cutoff**-1.5 * envelope[:, None, None] * bessel
        shape = (config.n_spherical, config.n_basis, config.circular_features)
        weight = self.param("mlp_cbf", he_orthogonal, shape).astype(dtype)
        edges = Edges(
            senders=senders,
            receivers=receivers,
            reverse=reverse_edges(senders),
            triplets=triplets,
            radial={
                use: Dense(config.radial_features, False, name=f"mlp_rbf_{use}")(rbf)
                for use in ("triplet", "atom", "output")
            },
            circular=jnp.einsum("eln,lni->eil", bessel, weight),
            angular=slot_harmonics(directions, triplets, config.n_spherical),
            real=lengths > 0,
            joined=triplets[:, 0] < len(lengths),
        )
        return rbf, edges
