"""Real frames in float64, and the comparison of a potential with another program's, for the parity tests."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jraph
import numpy as np

from compbench_jax.models.potential import Normalisation
from compbench_jax.models.registry import build_potential
from compbench_jax.store.store import open_store

ELEMENTS = (1, 6, 7, 8)
NORMALISATION = Normalisation(ELEMENTS, (0.0,) * 4, scale=1.0, average_neighbours=11.7)
FORMULAS = ("C3H7NO2", "C4H10", "C4H6O4")

Peer = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]
"""Energy and forces of another program from Z ``[n]``, positions ``[n, 3]`` in Å, senders and receivers."""


@lru_cache
def frames() -> list[tuple[np.ndarray, np.ndarray]]:
    """Z and positions of one frame of an amino acid, an alkane and a di-acid of the mini set."""
    store = open_store(Path(__file__).parents[3] / "data/mini")
    result = []
    for formula in FORMULAS:
        molecule = next(i for i, m in enumerate(store.manifest.molecules) if m.formula == formula)
        found = store.gather([int(np.flatnonzero(store.molecule == molecule)[7])])
        result.append((found.numbers, found.positions.astype(np.float64)))
    return result


def edges(positions: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers of all ordered pairs closer than the cutoff, sorted by receiver."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    receivers, senders = np.nonzero((distances < cutoff) & ~np.eye(len(positions), dtype=bool))
    return senders, receivers


def table_of_triplets(receivers: np.ndarray, n_node: int) -> np.ndarray:
    """Edges that end at each node, then their number, as the batching room lays them out."""
    rows = [np.flatnonzero(receivers == node) for node in range(n_node)]
    table = np.full((n_node, max(map(len, rows))), len(receivers), np.int32)
    for node, row in enumerate(rows):
        table[node, : len(row)] = row
    return table


def assert_parity(config: Any, params: Any, peer: Peer, rtol: float, molecules: int = len(FORMULAS)) -> None:
    """Energies and forces of a configuration with these parameters are those of the peer, to ``rtol``.

    The parameters must be exactly those that the network has, each of its shape.
    """
    potential = build_potential(config, NORMALISATION)
    with jax.enable_x64(True):
        compiled = jax.jit(potential.energy_and_forces, compiler_options={"xla_backend_optimization_level": 0})
        for numbers, positions in frames()[:molecules]:
            senders, receivers = edges(positions, config.cutoff)
            triplets = {"triplets": table_of_triplets(receivers, len(numbers) + 1)} if potential.triplets else None
            graph = jraph.GraphsTuple(
                nodes={
                    "positions": np.concatenate([positions, np.zeros((1, 3))]),
                    "species": np.append(np.searchsorted(ELEMENTS, numbers), 0).astype(np.int32),
                },
                edges=triplets,
                senders=senders.astype(np.int32),
                receivers=receivers.astype(np.int32),
                n_node=np.array([len(numbers), 1], np.int32),
                n_edge=np.array([len(senders), 0], np.int32),
                globals={},
            )
            shapes = jax.tree.map(np.shape, jax.eval_shape(potential.init, jax.random.key(0), graph)["params"])
            assert jax.tree.map(np.shape, params["params"]) == shapes
            energy, forces = (np.asarray(values) for values in compiled(params, graph))
            expected_energy, expected_forces = peer(numbers, positions, senders, receivers)
            assert np.abs(expected_forces).max() > 1e-3, "the peer's forces vanish: the test would prove nothing"
            np.testing.assert_allclose(energy[0], expected_energy, rtol=rtol)
            largest = np.abs(expected_forces).max()
            np.testing.assert_allclose(forces[:-1], expected_forces, rtol=0, atol=rtol * largest)
