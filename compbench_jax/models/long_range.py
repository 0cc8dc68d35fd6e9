"""Energies that physics gives a pair of atoms: repulsion of nuclei, charges, dispersion. Units: eV and Å.

Forms and constants are SO3LR's (Kabylda et al., J. Am. Chem. Soc. 2025): the repulsion of Ziegler, Biersack and
Littmark, Coulomb's law between charges of finite width, and the van der Waals energy of quantum Drude oscillators
(Góger et al., J. Chem. Theory Comput. 2023, 3c00797) from free-atom references scaled by Hirshfeld ratios (Tkatchenko
and Scheffler, Phys. Rev. Lett. 102, 073005 (2009)).

Charges and dispersion act between all pairs of atoms of a molecule, as dense arrays of all pairs of a batch: few
operations per pair compared with the thousands that a network spends on each edge.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.models.layers.safe import safe_divide

BOHR = 0.5291772105638411
"""Å."""
HARTREE = 27.211386245988
"""eV."""
COULOMB = 14.399645351950548
"""eV Å, energy of two unit charges at a distance of 1 Å."""
FINE_STRUCTURE = 0.0072973525693

GAMMA_FIT = (-0.00433008, 0.24428889, 0.04125273, -0.00078893)
"""Cubic fit of the oscillators' width to their van der Waals radius, atomic units, constant first."""


class Molecules(NamedTuple):
    """Which nodes of a batch belong together. Padding nodes are a molecule as any other.

    Attributes:
        positions: Å ``[n_node, 3]``.
        owner: molecule of each node, int32 ``[n_node]``, ascending.
        n_node: nodes of each molecule, int32 ``[n_graph]``.
    """

    positions: jax.Array
    owner: jax.Array
    n_node: jax.Array


def squared_distances(molecules: Molecules) -> tuple[jax.Array, jax.Array]:
    """Squared distances of all pairs, Å² ``[n_node, n_node]``, and which are two atoms of one molecule; 1 elsewhere."""
    # Component by component, so that no array has a last axis of three.
    squares = sum((x[:, None] - x[None]) ** 2 for x in molecules.positions.T)
    together = (molecules.owner[:, None] == molecules.owner[None]) & (squares > 0)
    return jnp.where(together, squares, 1.0), together


def conserve_charge(charges: jax.Array, molecules: Molecules) -> jax.Array:
    """Charges ``[n_node]`` less their mean over each molecule, which is neutral then."""
    totals = jax.ops.segment_sum(charges, molecules.owner, molecules.n_node.shape[0], indices_are_sorted=True)
    return charges - safe_divide(totals, molecules.n_node)[molecules.owner]


def electrostatics(
    charges: jax.Array, squares: jax.Array, together: jax.Array, width: float, cutoff: float
) -> jax.Array:
    """Half of the Coulomb energies of each atom's pairs, eV ``[n_node]``: q_i q_j (erf(r/w)/r − erf(c/w)/c).

    Args:
        charges: in elementary charges ``[n_node]``.
        squares: squared distances, Å² ``[n_node, n_node]``.
        together: which pairs count.
        width: w, Å.
        cutoff: c, Å, where the energy of a pair is shifted to zero. The shift acts on the forces through the charges.
            The original smooths the energy between 0.45 c and c as well, beyond the size of any molecule here.
    """
    r = jnp.sqrt(squares)
    shift = jax.lax.erf(jnp.asarray(cutoff / width, r.dtype)) / cutoff
    pairs = jnp.where(together, jax.lax.erf(r / width) / r - shift, 0.0)
    return 0.5 * COULOMB * charges * jnp.sum(pairs * charges[None], axis=1)


def dispersion(
    ratios: jax.Array,
    polarisabilities: jax.Array,
    coefficients: jax.Array,
    squares: jax.Array,
    together: jax.Array,
    scale: float,
) -> jax.Array:
    """Half of the dispersion energies of each atom's pairs, eV ``[n_node]``: damped C6, C8 and C10 terms.

    Args:
        ratios: Hirshfeld volumes over those of free atoms, above 0 ``[n_node]``.
        polarisabilities: of free atoms, Bohr³ ``[n_node]``.
        coefficients: C6 of free atoms, Hartree Bohr⁶ ``[n_node]``.
        squares: squared distances, Å² ``[n_node, n_node]``.
        together: which pairs count.
        scale: of the damping length.
    """
    alpha, c6 = polarisabilities * ratios, coefficients * ratios**2
    a, b = alpha[:, None], alpha[None]
    c, d = c6[:, None], c6[None]
    mixed = 2 * c * d * a * b / (a * a * d + b * b * c)
    root = ((a + b) / 2) ** (1 / 7)
    radius = FINE_STRUCTURE ** (-4 / 21) * root
    b0, b1, b2, b3 = GAMMA_FIT
    sigma = b0 + radius * (b1 + radius * (b2 + radius * b3))
    gamma = 0.5 / sigma**2
    r2 = squares / BOHR**2
    p2 = (scale * 2 * 2.54 * root) ** 2
    r4, p4 = r2 * r2, p2 * p2
    sixth = 1 / (r4 * r2 + p4 * p2)
    eighth = 5 / gamma / (r4 * r4 + p4 * p4)
    tenth = 245 / 8 / gamma**2 / (r4 * r4 * r2 + p4 * p4 * p2)
    pairs = jnp.where(together, -mixed * (sixth + eighth + tenth), 0.0)
    return 0.5 * HARTREE * pairs.sum(axis=1)


def switch_off(lengths: jax.Array, end: float) -> jax.Array:
    """Smooth step from 1 at length 0 to 0 at ``end`` (Å) and beyond, with all derivatives zero there."""
    x = lengths / end
    above, below = _ramp(1 - x), _ramp(x)
    return above / (above + below + 1e-12)


def _ramp(x: jax.Array) -> jax.Array:
    """exp(−1/x) for x > 0, else 0."""
    positive = x > 0
    return jnp.where(positive, jnp.exp(-1 / jnp.where(positive, x, 1.0)), 0.0)


SCREENING_POWER = 0.3
"""Exponent of the nuclear charges in the screening length of :func:`screened_repulsion`."""


def screened_repulsion(lengths: jax.Array, charges: jax.Array, powers: jax.Array) -> jax.Array:
    """Repulsion of screened nuclei, eV ``[...]``, with the constants of mace-torch's ``ZBLBasis``; zero at length zero.

    Args:
        lengths: Å.
        charges: product of the nuclear charges.
        powers: sum of the nuclear charges, each to the power ``SCREENING_POWER``.
    """
    scaled = lengths * powers / (0.4543 * 0.529)
    terms = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4028), (0.02817, 0.2016))
    screening = sum(weight * jnp.exp(-decay * scaled) for weight, decay in terms)
    return safe_divide(14.3996 * charges * screening, lengths)


class Repulsion(nn.Module):
    """Repulsion of screened nuclei (Ziegler, Biersack and Littmark), with the constants of its screening learned."""

    end: float = 1.5
    """Å, where it ends."""

    @nn.compact
    def __call__(self, lengths: jax.Array, cutoff: jax.Array, z_i: jax.Array, z_j: jax.Array) -> jax.Array:
        """Half of the energy of each edge, eV ``[n_edge]``.

        Args:
            lengths: Å ``[n_edge]``.
            cutoff: a factor for each edge, zero for padding edges.
            z_i: nuclear charges at one end, real numbers.
            z_j: at the other.
        """

        def learned(name: str, *start: float) -> jax.Array:
            raw = self.param(name, lambda _: jnp.log(jnp.expm1(jnp.array(start if len(start) > 1 else start[0]))))
            return jax.nn.softplus(raw)

        decay = learned("decay", 3.2, 0.9423, 0.4028, 0.2016)
        weight = learned("weight", 0.1818, 0.5099, 0.2802, 0.02817)
        power, inverse = learned("power", 0.23), learned("inverse", 1 / (0.8854 * BOHR))
        scaled = lengths * (z_i**power + z_j**power) * inverse
        screening = (weight / weight.sum() * jnp.exp(-decay * scaled[:, None])).sum(-1)
        bare = COULOMB * cutoff * safe_divide(z_i * z_j, lengths)
        return 0.5 * switch_off(lengths, self.end) * bare * screening
