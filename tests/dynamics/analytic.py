"""Potentials with answers in closed form, as networks like any other, and small molecules to try them on."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from compbench_jax.dynamics.engine import Engine
from compbench_jax.models.layers.aggregate import sum_to_receivers
from compbench_jax.models.layers.safe import safe_norm
from compbench_jax.models.potential import Normalisation, Potential
from compbench_jax.molecules.molecule import MolecularGraph, Molecule

ELEMENTS = (1, 6, 8)
NORMALISATION = Normalisation(ELEMENTS, (0.0, 0.0, 0.0), scale=1.0, average_neighbours=2.0)


PARAMS = {"params": {"unused": np.zeros(1, np.float32)}}
"""Networks without parameters, in calculators that go by them."""


class Springs(nn.Module):
    """½ k (r − r₀)² for every pair within the cutoff."""

    stiffness: float = 30.0
    rest: float = 1.1

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        r = safe_norm(vectors)
        energy = 0.25 * self.stiffness * jnp.where(r > 0, r - self.rest, 0.0) ** 2
        return sum_to_receivers(energy, receivers, species.shape[0])


class LennardJones(nn.Module):
    """4 ε ((σ/r)¹² − (σ/r)⁶) for every pair, as ASE's with the same cutoff and no smoothing, but not shifted."""

    epsilon: float = 0.05
    sigma: float = 2.0

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        square = (vectors**2).sum(-1)
        ratio = jnp.where(square > 0, self.sigma**2 / jnp.where(square > 0, square, 1.0), 0.0) ** 3
        return sum_to_receivers(2.0 * self.epsilon * (ratio**2 - ratio), receivers, species.shape[0])


class Swirl(nn.Module):
    """Forces that are no gradient: springs of rest length zero, and each pair pushed across z by ``twist`` times it."""

    stiffness: float = 2.0
    twist: float = 0.5

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        across = self.twist * jnp.stack([-vectors[:, 1], vectors[:, 0], 0 * vectors[:, 0]], axis=-1)
        pull = sum_to_receivers(-self.stiffness * vectors + across, receivers, species.shape[0])
        energy = sum_to_receivers(0.25 * self.stiffness * (vectors**2).sum(-1), receivers, species.shape[0])
        return energy, pull


class Crowd(nn.Module):
    """Not extensive: the energy of an atom depends on how many atoms there are anywhere."""

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        springs = Springs()(vectors, species, senders, receivers)
        busy = jnp.zeros(species.shape[0]).at[receivers].max(jnp.where((vectors**2).sum(-1) > 0, 1.0, 0.0))
        return springs * (1.0 + 0.01 * busy.sum())


def potential(module, cutoff=5.0, precision="float32", direct=False):
    return Potential(module, NORMALISATION, cutoff, direct=direct, precision=precision)


def engine(module, **options):
    return Engine(potential(module, **options), PARAMS)


def chain(numbers, bonds=None, name="chain"):
    """A molecule, bonded one atom to the next unless told otherwise."""
    numbers = np.array(numbers, np.int32)
    bonds = [(i, i + 1) for i in range(len(numbers) - 1)] if bonds is None else bonds
    record = Molecule(name, f"smiles of {name}", f"KEY-{name}", "X")
    environments = np.repeat(numbers[:, None], 5, axis=1).astype(np.uint32)
    return MolecularGraph(record, numbers, np.array(bonds, np.int32).reshape(-1, 2), environments)


def alkane(n):
    """An alkane as RDKit builds it, and a geometry of it (Å)."""
    from compbench_jax.molecules.conformers import conformer
    from compbench_jax.molecules.graph import molecular_graph
    from compbench_jax.molecules.registry import describe_smiles

    molecule = Molecule(f"C{n}", *describe_smiles("C" * n))
    return molecular_graph(molecule), conformer(molecule, 1).astype(np.float64)
