"""Which molecules are looked at, and the states that their trajectories begin in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_masses
from ase.units import kB

from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.unseen import molecules_of
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True, eq=False)
class Start:
    """A molecule of a test set and the state it begins in.

    Attributes:
        graph: the molecule.
        frame: index of the frame in the store.
        positions: of that frame, Å, float64 ``[n_atoms, 3]``, centred.
        velocities: ASE units, float64 ``[n_atoms, 3]``.
    """

    graph: MolecularGraph
    frame: int
    positions: np.ndarray
    velocities: np.ndarray

    @property
    def key(self) -> str:
        """InChIKey."""
        return self.graph.molecule.inchikey

    @property
    def masses(self) -> np.ndarray:
        """u, float64 ``[n_atoms]``."""
        return masses_of(self.graph)

    def describe(self) -> dict[str, Any]:
        """What results say of it."""
        molecule = self.graph.molecule
        return {
            "name": molecule.name,
            "smiles": molecule.smiles,
            "family": molecule.family,
            "n": molecule.n,
            "n_atoms": self.graph.n_atoms,
            "frame": self.frame,
        }


def masses_of(graph: MolecularGraph) -> np.ndarray:
    """Masses of the atoms, u, float64 ``[n_atoms]``."""
    return np.asarray(atomic_masses, np.float64)[graph.numbers]


def choose(store: FrameStore, frames: np.ndarray, count: int, seed: int, temperature: float) -> list[Start]:
    """Molecules of a test set from all over its sizes, each with a start of its own.

    Molecules are ordered by their size; of ``count`` equal stretches of that order the middle ones are taken. A start
    depends on nothing but the seed and the molecule.

    Args:
        store: where the frames are.
        frames: of the test set.
        count: how many molecules; all if there are no more.
        seed: of the choice of frames, and of the velocities.
        temperature: K.
    """
    molecules = molecules_of(store, frames)
    molecules.sort(key=lambda m: (store.graphs[m].n_atoms, store.graphs[m].molecule.inchikey))
    count = min(count, len(molecules))
    chosen = [molecules[(2 * k + 1) * len(molecules) // (2 * count)] for k in range(count)]
    return [_start(store, m, frames[store.molecule[frames] == m], seed, temperature) for m in chosen]


def _start(store: FrameStore, index: int, frames: np.ndarray, seed: int, temperature: float) -> Start:
    graph = store.graphs[index]
    rng = np.random.default_rng([seed, int.from_bytes(graph.molecule.inchikey.encode(), "big")])
    frame = int(rng.choice(frames))
    positions = store.gather([frame]).positions.astype(np.float64)
    positions -= positions.mean(axis=0)
    return Start(graph, frame, positions, thermal_velocities(masses_of(graph), positions, temperature, rng))


def thermal_velocities(
    masses: np.ndarray, positions: np.ndarray, temperature: float, rng: np.random.Generator
) -> np.ndarray:
    """Maxwell-Boltzmann velocities (ASE units) ``[n_atoms, 3]`` of a molecule at rest that does not turn.

    Args:
        masses: u, ``[n_atoms]``.
        positions: Å, ``[n_atoms, 3]``.
        temperature: K.
        rng: of the draw.
    """
    velocities = rng.normal(size=positions.shape) * np.sqrt(kB * temperature / masses)[:, None]
    velocities -= masses @ velocities / masses.sum()
    r = positions - masses @ positions / masses.sum()
    inertia = (masses * (r**2).sum(axis=1)).sum() * np.eye(3) - (masses[:, None] * r).T @ r
    # A linear molecule has one axis about which there is nothing to turn: the pseudo-inverse leaves it out (moments are
    # squares: what rigid_motions calls linear).
    omega = np.linalg.pinv(inertia, rcond=1e-8) @ (masses[:, None] * np.cross(r, velocities)).sum(axis=0)
    return velocities - np.cross(omega, r)
