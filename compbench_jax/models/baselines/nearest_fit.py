"""What the nearest-environment baseline keeps of the training frames."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.errors import DataError
from compbench_jax.models.baselines.nearest import Nearest, weigh
from compbench_jax.models.potential import Params

RIDGE = 1e-5
"""Ridge of the linear fit that weighs the vectors, in units of their mean square."""

ENERGY_RIDGE = 1e-3
"""Ridge of the energies of environments (eV²): the finer ones are what the coarser ones leave to explain."""


def fit_nearest(module: Nearest, train: GraphDataset, scale: float) -> tuple[Params, str]:
    """Remember the training atoms.

    Args:
        module: what to fit.
        train: frames to remember, with their topology.
        scale: eV/Å, unit of the module's forces and (eV) energies.

    Returns:
        the parameters, float32, and a line about them.

    Raises:
        DataError: the frames come without bonds.
    """
    if train.topology is None:
        raise DataError("nearest environments need the bonds of the molecules: build the data set with graphs")
    sums, around = _describe_all(module, train)
    forces = train.frames.forces.astype(np.float64) / scale
    weights = np.stack([_weights(around[own], forces[own]) for own in _by_element(train)])
    kept = np.unique(np.linspace(0, len(forces) - 1, min(module.config.most, len(forces))).astype(np.int64))
    species = train.species[kept]
    invariants, vectors = weigh(jnp.asarray(sums[kept]), jnp.asarray(around[kept]), jnp.asarray(weights[species]))
    params: dict[str, np.ndarray] = {
        "species": species.astype(np.int32),
        "vectors": np.asarray(vectors, np.float32),
        "invariants": np.asarray(invariants, np.float32),
        "forces": forces[kept].astype(np.float32),
        "weights": weights.astype(np.float32),
        **_energies(train, scale),
    }
    return {"params": params}, f"{len(kept)} training atoms remembered"


def _by_element(dataset: GraphDataset) -> list[np.ndarray]:
    """Which atoms are of each element."""
    return [np.flatnonzero(dataset.species == element) for element in range(len(dataset.elements))]


def _describe_all(module: Nearest, dataset: GraphDataset) -> tuple[np.ndarray, np.ndarray]:
    """Sums ``[n_atoms, m]`` and vectors ``[n_atoms, m, 3]`` of every atom of a set, in the order of its frames."""
    describe = jax.jit(partial(_describe, module))
    width = module.n_species * module.config.n_basis
    sums = np.zeros((len(dataset.species), width), np.float32)
    around = np.zeros((len(dataset.species), width, 3), np.float32)
    for item in dataset.sequential():
        s, v = describe(dataset.batch(item))
        first = 0
        for frame in item.indices:
            own = slice(dataset.frames.offsets[frame], dataset.frames.offsets[frame + 1])
            here = slice(first, first + own.stop - own.start)
            sums[own], around[own] = np.asarray(s[here]), np.asarray(v[here])
            first = here.stop
    return sums, around


def _describe(module: Nearest, graph: Any) -> tuple[jax.Array, jax.Array]:
    positions = graph.nodes["positions"]
    vectors = positions[graph.receivers] - positions[graph.senders]
    return module.describe(vectors, graph.nodes["species"], graph.senders, graph.receivers)


def _weights(around: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """|c_a| of the linear fit F ≈ Σ_a c_a V_a, ``[m]``."""
    rows = around.transpose(0, 2, 1).reshape(-1, around.shape[1]).astype(np.float64)
    size = np.sqrt((rows**2).mean(axis=0)) + 1e-9
    rows = rows / size
    matrix = rows.T @ rows + RIDGE * len(rows) * np.eye(rows.shape[1])
    return np.abs(np.linalg.solve(matrix, rows.T @ forces.ravel())) / size


def _energies(train: GraphDataset, scale: float) -> dict[str, np.ndarray]:
    """Environments met and their energies, fitted to the training energies."""
    assert train.topology is not None
    owner = np.repeat(np.arange(train.n_frames), train.frames.n_atoms)
    found, columns = {}, []
    for level in range(2):
        keys = train.topology.keys[:, level]
        types, index = np.unique(keys, return_inverse=True)
        counts = np.bincount(owner * len(types) + index.ravel(), minlength=train.n_frames * len(types))
        columns.append(counts.reshape(train.n_frames, len(types)).astype(np.float64))
        found[f"types_{level}"] = types.astype(np.int32)
    rows = np.concatenate(columns, axis=1)
    matrix = rows.T @ rows + ENERGY_RIDGE * np.eye(rows.shape[1])
    energies = np.linalg.solve(matrix, rows.T @ train.targets.astype(np.float64)) / scale
    first = len(found["types_0"])
    return found | {
        "energies_0": energies[:first].astype(np.float32),
        "energies_1": energies[first:].astype(np.float32),
    }
