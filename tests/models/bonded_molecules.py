"""Small molecules with bonds, and sets of their frames, for the tests of the baselines."""

import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.packing import BatchShape
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.store.frames import Frames, offsets_of

ELEMENTS = (1, 6, 8)
REFERENCE = (-13.6, -1030.0, -2040.0)
SHAPE = BatchShape(26, 400, 5)


def graph(numbers, bonds):
    pairs = np.array(sorted(tuple(sorted((int(i), int(j)))) for i, j in bonds), np.int32).reshape(-1, 2)
    record = Molecule("made up", "", "", "")
    return MolecularGraph(record, np.array(numbers, np.int32), pairs, np.zeros((len(numbers), 5), np.uint32))


PROPANOL = graph([6, 6, 6, 8, 1, 1, 1], [(0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (1, 6)])
"""A chain with a torsion about each inner bond, and pairs up to five bonds apart."""
ETHANE = graph([6, 6, 1, 1, 1], [(0, 1), (0, 2), (1, 3), (1, 4)])
WATER = graph([8, 1, 1], [(0, 1), (0, 2)])
GRAPHS = (PROPANOL, ETHANE, WATER)


def geometry(molecule, seed):
    """Positions ``[n, 3]`` with bonds of about 1.2 Å and no two atoms closer than 0.8 Å."""
    rng = np.random.default_rng(seed)
    while True:
        positions = np.zeros((molecule.n_atoms, 3))
        for i, j in molecule.bonds.tolist():
            step = rng.normal(size=3)
            positions[j] = positions[i] + step / np.linalg.norm(step) * rng.normal(1.2, 0.08)
        apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1) + np.eye(len(positions))
        if apart.min() > 0.8:
            return positions


def permuted(molecule, order):
    """The same molecule with its atoms in another order."""
    place = np.argsort(order)
    return graph(molecule.numbers[order], [(place[i], place[j]) for i, j in molecule.bonds])


def joined(a, b):
    """Two molecules as one graph."""
    return graph(np.append(a.numbers, b.numbers), [*a.bonds.tolist(), *(b.bonds + a.n_atoms).tolist()])


def dataset(structures, cutoff, *, energy=None, forces=None, shape=SHAPE, dtype=np.float64):
    """Set of (molecule, positions); positions are not rounded, unlike those of a store."""
    numbers = np.concatenate([molecule.numbers for molecule, _ in structures])
    counts = np.stack([[np.sum(m.numbers == z) for z in ELEMENTS] for m, _ in structures])
    labels = np.zeros(len(structures)) if energy is None else energy
    frames = Frames(
        numbers=numbers,
        positions=np.concatenate([positions for _, positions in structures]),
        forces=np.zeros((len(numbers), 3)) if forces is None else np.concatenate(forces),
        energy=labels + counts @ np.array(REFERENCE),
        molecule=np.arange(len(structures), dtype=np.int32),
        offsets=offsets_of([molecule.n_atoms for molecule, _ in structures]),
    )
    return GraphDataset.build(
        frames,
        elements=ELEMENTS,
        reference_energies=REFERENCE,
        cutoff=cutoff,
        batch_size=4,
        shape=shape,
        graphs=[molecule for molecule, _ in structures],
        dtype=dtype,
    )
