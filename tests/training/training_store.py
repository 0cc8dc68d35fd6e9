"""A small made-up store with known forces, and a potential that can fit them exactly."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.potential import Normalisation
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.splits.split import Split
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.store import FrameStore, open_store
from compbench_jax.store.writer import Trajectory, write_store
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.settings import LossSettings, OptimiserSettings, WatchSettings

EPSILON, SIGMA = 0.2, 1.4
ATOM_ENERGY = {1: -13.0, 6: -1030.0}
PRIMARY, SECONDARY, TUNING = 12, 6, 2


def lennard_jones(numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å) of 4ε((σ/r)¹² − (σ/r)⁶) over all pairs, plus an energy for each atom."""
    vectors = positions[:, None] - positions[None]
    distances = np.linalg.norm(vectors, axis=-1) + np.eye(len(positions)) * 1e9
    attraction = (SIGMA / distances) ** 6
    energy = 2 * EPSILON * (attraction**2 - attraction).sum()
    pull = 4 * EPSILON * (12 * attraction**2 - 6 * attraction) / distances**2
    return energy + sum(ATOM_ENERGY[int(z)] for z in numbers), (pull[:, :, None] * vectors).sum(axis=1)


def cluster(n_atoms: int, rng: np.random.Generator) -> np.ndarray:
    """Positions ``[n_atoms, 3]`` no two of which are closer than 1.35 Å, none farther from the origin than 3 Å."""
    positions = np.zeros((0, 3))
    while len(positions) < n_atoms:
        trial = rng.uniform(-3, 3, 3)
        if np.linalg.norm(trial) < 3 and (not len(positions) or np.linalg.norm(positions - trial, axis=1).min() > 1.35):
            positions = np.vstack([positions, trial])
    return positions


def made_up_alkane(n: int) -> MolecularGraph:
    """A molecule that tasks take for the alkane of n carbons; its "chain" has a carbon and two hydrogens a unit."""
    numbers = np.array([6] * n + [1] * (n + 2), np.int32)
    bonds = np.array([(i, i + 1) for i in range(len(numbers) - 1)], np.int32)
    environments = np.stack([numbers * (radius + 1) for radius in range(5)], axis=1).astype(np.uint32)
    molecule = Molecule(f"alkane-{n}", "C" * n, f"KEY-{n:02d}", f"C{n}H{n + 2}", "alkane", n, ("H", "H"))
    return MolecularGraph(molecule, numbers, bonds, environments)


def trajectory(index: int, graph: MolecularGraph, kind: str, n_frames: int, seed: int) -> Trajectory:
    rng = np.random.default_rng([seed, index, kind == "secondary"])
    positions = np.stack([cluster(graph.n_atoms, rng) for _ in range(n_frames)])
    labels = [lennard_jones(graph.numbers, p) for p in positions]
    return Trajectory(
        molecule=index,
        set=kind,
        segment=0,
        positions=positions,
        forces=np.stack([forces for _, forces in labels]),
        energy=np.array([energy for energy, _ in labels]),
        time=np.arange(n_frames, dtype=float),
        temperature=np.full(n_frames, 300.0),
    )


def make_store(folder: Path, sizes: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)) -> FrameStore:
    """Store of the made-up alkanes of these n; 2–6 are trained on in ``chain_extension``."""
    graphs = [made_up_alkane(n) for n in sizes]
    trajectories = [
        trajectory(i, graph, kind, count, 7)
        for i, graph in enumerate(graphs)
        for kind, count in (("primary", PRIMARY), ("secondary", SECONDARY))
    ]
    manifest = Manifest((), (), (), {"method": "lennard-jones"}, {}, TUNING, (), {})
    write_store(folder, manifest, graphs, trajectories)
    return open_store(folder)


def make_split(store: FrameStore) -> Split:
    """Train on n = 2–6; larger ones are OOD."""
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "id_test": [], "ood_test": []}
    for i, graph in enumerate(store.graphs):
        primary, secondary = store.select(i, "primary"), store.select(i, "secondary")
        if graph.molecule.n is not None and graph.molecule.n <= 6:
            parts["train"].append(primary)
            parts["validation"].append(secondary[:TUNING])
            parts["id_test"].append(secondary[TUNING:])
        else:
            parts["ood_test"].append(primary)
    return Split("chain_extension", **{name: np.concatenate(rows) for name, rows in parts.items()})


@dataclass(frozen=True)
class PairConfig:
    """Lennard-Jones with parameters to learn, and an energy for each element.

    With ``look`` the energies start from what the first batch looks like, as scaling factors of some potentials do.
    """

    cutoff: float = 7.0
    start: float = 0.7
    look: bool = False

    kind: ClassVar[str] = "pair"
    citation: ClassVar[str] = "Lennard-Jones 1924"

    @property
    def receptive_field(self) -> float:
        return self.cutoff

    def build(self, normalisation: Normalisation) -> nn.Module:
        return PairNetwork(self, len(normalisation.elements), normalisation.scale)


class PairNetwork(nn.Module):
    config: PairConfig
    n_species: int
    scale: float

    @nn.compact
    def __call__(self, vectors: jax.Array, species: jax.Array, senders: jax.Array, receivers: jax.Array) -> jax.Array:
        epsilon = self.param("epsilon", lambda key: jnp.float32(EPSILON * self.config.start))
        sigma = self.param("sigma", lambda key: jnp.float32(SIGMA * (1 + self.config.start) / 2))
        squares = jnp.sum(vectors**2, axis=-1)
        size = squares.mean() if self.config.look else 0.01
        shift = self.param("shift", lambda key: size * jax.random.normal(key, (self.n_species,)))
        attraction = jnp.where(squares > 0, sigma**2 / jnp.where(squares > 0, squares, 1.0), 0.0) ** 3
        pairs = 2 * epsilon * (attraction**2 - attraction)
        return (jax.ops.segment_sum(pairs, receivers, species.shape[0]) + shift[species]) / self.scale


def make_configuration(store: FrameStore, model: Any = None, **changes: Any) -> RunConfig:
    """A short run; ``changes`` are fields of the configuration."""
    values: dict[str, Any] = {
        "task": "chain_extension",
        "data": str(store.path),
        "data_hash": store.hash,
        "preset": "pair",
        "model": model or PairConfig(),
        "seed": 3,
        "steps": 30,
        "batch_size": 4,
        "loss": LossSettings(),
        "optimiser": OptimiserSettings(learning_rate=5e-3),
        "watch": WatchSettings(log_every=4, validate_every=10, monitor_frames=8, checkpoint_seconds=1e9),
    }
    return RunConfig(**{**values, **changes})
