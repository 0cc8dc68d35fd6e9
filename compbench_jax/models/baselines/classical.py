"""A classical force field: bonds, angles, torsions and pairs, with parameters that the energy is linear in.

The form is that of class II force fields (Maple et al., J. Comput. Chem. 15, 162, 1994: anharmonic bonds and angles,
and the coupling of those that share an atom), with 12-6 and Coulomb-like pairs. Every function of a distance or an
angle is a sum of fixed basis functions, so that all parameters follow from one linear least-squares problem
(:mod:`compbench_jax.models.baselines.classical_fit`): no charges, radii or equilibrium values to search for.

Types are a hierarchy: the elements of a term's atoms; their elements and numbers of bonds (which tells sp3 from
carbonyl carbon); and, for bonds and angles, their neighbours' too. A parameter is the sum of one for each level, and
the finer ones are what the coarser ones leave to explain, held small by the ridge. A type that training never met adds
nothing at its level: the term falls back on the coarser ones, and vanishes only if not even its elements were met.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ase.data import covalent_radii

from compbench_jax.models.baselines.bonded import (
    Bonds,
    Terms,
    angle_terms,
    bond_terms,
    lookup,
    pair_terms,
    torsion_terms,
)
from compbench_jax.models.layers.radial import polynomial_envelope
from compbench_jax.models.layers.safe import safe_divide, safe_norm, unit_vectors
from compbench_jax.models.potential import Normalisation

LEVELS = {"bond": (0, 1, 2), "angle": (0, 1, 2), "torsion": (0, 1), "pair": (0, 1)}
"""Kinds of terms, and the levels of typing of each: elements, then with numbers of bonds, then with neighbours."""

N_LEVELS = 3

SIGMA = 3.0
"""Å; unit of length of the pair functions, which keeps their parameters of one size."""

TETRAHEDRAL = -1.0 / 3.0
"""cos θ that angles are counted from."""


@dataclass(frozen=True)
class ClassicalConfig:
    """Classical force field: bonds, angles, torsions and pairs, fitted by linear least squares."""

    cutoff: float = 6.0
    """Cutoff of pair terms, Å; bonds, angles and torsions follow the molecule's graph."""
    energy_weight: float = 1.0
    """Weight of an energy (eV per molecule) relative to a force component (eV/Å) in the sum of squares."""

    kind: ClassVar[str] = "classical"
    citation: ClassVar[str] = "class II form: Maple et al., J. Comput. Chem. 15, 162 (1994), doi 10.1002/jcc.540150207"
    fitted: ClassVar[bool] = True
    bonded: ClassVar[bool] = True

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: the cutoff of the pairs, which exceeds a torsion's three bonds."""
        return self.cutoff

    def build(self, normalisation: Normalisation) -> "Classical":
        """Force field for these elements."""
        return Classical(self, normalisation.elements, normalisation.scale)


def bond_functions(vectors: jax.Array, constants: jax.Array) -> jax.Array:
    """1, x, x², x³, x⁴ of the stretch x = r − r₀ (Å), ``[n, 1, 3] -> [n, 5]``; ``constants [n, 1]`` holds r₀."""
    x = safe_norm(vectors[:, 0]) - constants[:, 0]
    return jnp.stack([jnp.ones_like(x), x, x**2, x**3, x**4], axis=1)


def angle_functions(vectors: jax.Array, constants: jax.Array) -> jax.Array:
    """Functions of an angle and its two bonds, ``[n, 2, 3] -> [n, 7]``.

    c, c², c³ with c = cos θ + 1/3; then the couplings xx′, (x + x′)c, s(x − x′)c, (x + x′)c². ``constants [n, 3]``
    holds r₀ of both bonds and s = ±1 by the order of their elements, 0 where these agree: so every function is the same
    whichever bond comes first.
    """
    directions, lengths = unit_vectors(vectors)
    c = (directions[:, 0] * directions[:, 1]).sum(axis=-1) - TETRAHEDRAL
    x, y = lengths[:, 0] - constants[:, 0], lengths[:, 1] - constants[:, 1]
    both = x + y
    return jnp.stack([c, c**2, c**3, x * y, both * c, constants[:, 2] * (x - y) * c, both * c**2], axis=1)


def torsion_functions(vectors: jax.Array, constants: jax.Array) -> jax.Array:
    """Functions of the dihedral angle φ: sin θ sin θ′ cos φ, and the like for 2φ and 3φ, ``[n, 3, 3] -> [n, 3]``.

    cos nφ comes with (sin θ sin θ′)ⁿ, as polynomials in the cross products of the bonds' directions: near constant at
    the angles of molecules, and zero, with all derivatives finite, where three atoms line up and φ does not exist.
    """
    directions, _ = unit_vectors(vectors)
    # j → i, j → k, k → l: φ is 0 where i and l are on the same side.
    a = jnp.cross(directions[:, 0], directions[:, 1])
    b = jnp.cross(directions[:, 1], directions[:, 2])
    cosine = -(a * b).sum(axis=-1)
    squares = (a * a).sum(axis=-1) * (b * b).sum(axis=-1)
    return jnp.stack([cosine, 2 * cosine**2 - squares, 4 * cosine**3 - 3 * cosine * squares], axis=1)


def pair_functions(vectors: jax.Array, constants: jax.Array) -> jax.Array:
    """(σ/r)ⁿ u(r/c) for n = 1, 6, 12, ``[n, 1, 3] -> [n, 3]``; ``constants [n, 1]`` holds the cutoff c (Å)."""
    r = safe_norm(vectors[:, 0])
    x = safe_divide(jnp.full_like(r, SIGMA), r)
    return jnp.stack([x, x**6, x**12], axis=1) * polynomial_envelope(r / constants[:, 0], 1.0)[:, None]


FUNCTIONS = {"bond": bond_functions, "angle": angle_functions, "torsion": torsion_functions, "pair": pair_functions}
N_FUNCTIONS = {"bond": 5, "angle": 7, "torsion": 3, "pair": 3}


class Classical(nn.Module):
    """Atom energies from bonded and pair terms; see :class:`compbench_jax.models.potential.Potential`.

    Parameters: ``atom_1``, ``atom_2``, sorted names of the atom types met in training; ``into_LEVEL``, the number of a
    bond direction by the types of its outer and its central atom; and for every kind of term and level
    ``KIND_LEVEL_types``, the number of a type by those of its parts, with the coefficients ``KIND_LEVEL [n_types,
    n_functions]`` in units of the normalisation's scale. Numbers past the last mean: not met.
    """

    config: ClassicalConfig
    elements: tuple[int, ...]
    scale: float

    def __call__(
        self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array, bonds: Bonds
    ) -> jax.Array:
        """Node energies ``[n_node]`` in units of the normalisation's scale."""
        params = self.variables.get("params", {})
        if not params:  # not fitted yet
            return jnp.zeros(species.shape[0], vectors.dtype)
        energies = jnp.zeros(species.shape[0], vectors.dtype)
        for kind, (terms, constants) in self.terms(params, vectors, species, senders, receivers, bonds).items():
            values = FUNCTIONS[kind](terms.vectors, constants)
            total = jnp.zeros(values.shape[0], vectors.dtype)
            for level, keys in zip(LEVELS[kind], terms.keys, strict=True):
                table = jnp.pad(params[f"{kind}_{level}"], ((0, 1), (0, 0))).astype(vectors.dtype)
                total = total + (table[params[f"{kind}_{level}_types"][keys]] * values).sum(axis=1)
            energies = energies.at[terms.owner].add(terms.weight.astype(vectors.dtype) * total)
        return energies

    def terms(
        self,
        params: Any,
        vectors: jax.Array,
        species: jax.Array,
        senders: jax.Array,
        receivers: jax.Array,
        bonds: Bonds,
    ) -> dict[str, tuple[Terms, jax.Array]]:
        """Terms of every kind and the constants of their functions, types named as far as ``params`` knows them."""
        atoms = self.atom_types(params, species, bonds)
        into = tuple(
            jnp.asarray(params[f"into_{level}"])[types[bonds.neighbours], types[:, None]]
            for level, types in enumerate(atoms)
        )
        radii = jnp.asarray(covalent_radii[list(self.elements)], vectors.dtype)[species]
        outer = species[bonds.neighbours]
        found = {
            "bond": bond_terms(bonds, tuple(atoms[i] for i in LEVELS["bond"])),
            "angle": angle_terms(bonds, tuple(into[i] for i in LEVELS["angle"])),
            "torsion": torsion_terms(bonds, tuple(into[i] for i in LEVELS["torsion"])),
            "pair": pair_terms(bonds, vectors, senders, receivers, tuple(atoms[i] for i in LEVELS["pair"])),
        }
        lengths = {kind: radii[item.tails] + radii[item.heads] for kind, item in found.items()}
        first, second = np.triu_indices(bonds.neighbours.shape[1], 1)
        sign = jnp.sign(outer[:, second] - outer[:, first]).reshape(-1, 1).astype(vectors.dtype)
        constants = {
            "bond": lengths["bond"],
            "angle": jnp.concatenate([lengths["angle"], sign], axis=1),
            "torsion": lengths["torsion"],
            "pair": jnp.full_like(lengths["pair"], self.config.cutoff),
        }
        return {kind: (found[kind], constants[kind]) for kind in found}

    def atom_types(self, params: Any, species: jax.Array, bonds: Bonds) -> tuple[jax.Array, ...]:
        """Types of the nodes ``[n_node]`` at every level."""
        finer = (lookup(params[f"atom_{level}"], bonds.keys[:, level - 1]) for level in range(1, N_LEVELS))
        return species, *finer
