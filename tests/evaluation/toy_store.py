"""A small ragged store of made-up molecules, and an analytic potential whose forces are known in closed
form.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.potential import Normalisation, Potential
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.splits.split import Split
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.store import open_store
from compbench_jax.store.writer import Trajectory, write_store
from compbench_jax.training.loaded_run import LoadedRun

CUTOFF = 2.5
ELEMENTS = (1, 6, 8)
NORMALISATION = Normalisation(
    elements=ELEMENTS, reference_energies=(-13.0, -1030.0, -2040.0), scale=2.0, average_neighbours=4.0
)
STRENGTH = 0.3
SPECIES = {1: 0, 6: 1, 8: 2}

# name, family, n, ends, atomic numbers; chains, bonded one atom to the next.
MOLECULES = (
    ("ay", "alkane", 2, ("H", "H"), (1, 6, 6, 1)),
    ("bee", "alkane", 3, ("H", "H"), (1, 6, 6, 6, 1)),
    ("cee", "alcohol", 3, ("OH", "H"), (1, 6, 6, 6, 8, 1)),
    ("dee", "alcohol", 4, ("OH", "H"), (1, 6, 6, 6, 6, 8, 1)),
    ("ee", "diol", 5, ("OH", "OH"), (1, 8, 6, 6, 6, 6, 6, 8, 1)),
    ("eff", "diol", 4, ("OH", "OH"), (1, 8, 6, 6, 6, 6, 8, 1)),
)
TRAINED, HELD_OUT = (0, 1, 2), (3, 4, 5)
PRIMARY, SECONDARY, TUNING = 6, 7, 2


class PairNet(nn.Module):
    """Node energies ½ Σ_j w_ij exp(−r_ij²), w_ij = strength · (1 + species_i)(1 + species_j), in units of the
    scale.
    """

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        strength = self.param("strength", lambda _: jnp.asarray(STRENGTH, jnp.float32))
        weight = strength * (1.0 + species[senders]) * (1.0 + species[receivers])
        terms = 0.5 * weight * jnp.exp(-(vectors**2).sum(-1))
        return jnp.zeros(species.shape[0], vectors.dtype).at[receivers].add(terms)


def pair_energy_forces(numbers, positions, strength):
    """Total energy (eV, with reference energies) and forces of :class:`PairNet` for one frame, pair by pair
    in float64.
    """
    energy = sum(NORMALISATION.reference_energies[SPECIES[int(z)]] for z in numbers)
    forces = np.zeros((len(numbers), 3))
    for i in range(len(numbers)):
        for j in range(i):
            vector = positions[i].astype(np.float64) - positions[j]
            square = float(vector @ vector)
            if square >= CUTOFF**2:
                continue
            weight = NORMALISATION.scale * strength * (1 + SPECIES[int(numbers[i])]) * (1 + SPECIES[int(numbers[j])])
            energy += weight * np.exp(-square)
            # dE/dr_i = −2 w exp(−r²) (r_i − r_j), and F = −dE/dr.
            forces[i] += 2 * weight * np.exp(-square) * vector
            forces[j] -= 2 * weight * np.exp(-square) * vector
    return energy, forces


def graphs():
    found = []
    for name, family, n, ends, numbers in MOLECULES:
        count = len(numbers)
        environments = np.zeros((count, 5), np.uint32)
        environments[:, 0] = numbers
        for radius in range(1, 5):
            for atom in range(count):
                around = numbers[max(0, atom - radius) : atom + radius + 1]
                environments[atom, radius] = abs(hash((radius, min(around, around[::-1])))) % 2**32
        bonds = np.array([(i, i + 1) for i in range(count - 1)], np.int32)
        record = Molecule(name, f"smiles of {name}", f"KEY-{name}", f"X{count}", family, n, ends)
        found.append(MolecularGraph(record, np.array(numbers, np.int32), bonds, environments))
    return tuple(found)


def chain(rng, count):
    """A bent chain with steps of about 1.2 Å."""
    steps = rng.normal(size=(count, 3)) * 0.3 + [1.1, 0, 0]
    return np.cumsum(steps, axis=0).astype(np.float32)


def make_store(folder, seed=0):
    """Labels of another strength, with noise in the forces and an offset an atom in the energies; one zero
    force.
    """
    rng = np.random.default_rng(seed)
    trajectories = []
    for index, graph in enumerate(graphs()):
        for name, count in (("primary", PRIMARY), ("secondary", SECONDARY)):
            positions = np.stack([chain(rng, graph.n_atoms) for _ in range(count)])
            labels = [pair_energy_forces(graph.numbers, frame, 0.8 * STRENGTH) for frame in positions]
            forces = np.stack([f for _, f in labels]) + 0.05 * rng.normal(size=positions.shape)
            energy = np.array([e for e, _ in labels]) + 0.1 * graph.n_atoms + 0.02 * rng.normal(size=count)
            if index == TRAINED[1] and name == "secondary":
                forces[-1, 2] = 0.0
            trajectories.append(
                Trajectory(index, name, 0, positions, forces, energy, np.arange(count) * 10.0, np.full(count, 300.0))
            )
    manifest = Manifest((), (), (), {"method": "made up"}, {}, TUNING, (), {"test": "1"})
    write_store(folder, manifest, graphs(), trajectories)
    return open_store(folder)


def make_split(store, task="chain_extension"):
    secondary = [store.select(m, "secondary") for m in TRAINED]
    return Split(
        task,
        np.concatenate([store.select(m, "primary") for m in TRAINED]),
        np.concatenate([frames[:TUNING] for frames in secondary]),
        np.concatenate([frames[TUNING:] for frames in secondary]),
        np.concatenate([store.select(m, "primary") for m in HELD_OUT]),
    )


def make_run(store, strength=STRENGTH, seed=0):
    config = {
        "task": "chain_extension",
        "data": str(store.path),
        "data_hash": store.hash,
        "preset": "pairs",
        "model": {"model": "pairs"},
        "seed": seed,
    }
    params = {"params": {"strength": np.float32(strength)}}
    return LoadedRun(config, Potential(PairNet(), NORMALISATION, CUTOFF), params, 100)
