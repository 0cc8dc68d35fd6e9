"""Small padded graphs for the tests of potentials, made by brute force and independent of the batching room."""

from typing import Any

import flax.linen as nn
import jax
import jraph
import numpy as np

from compbench_jax.models.potential import Normalisation

ELEMENTS = (1, 6, 8)
NORMALISATION = Normalisation(
    elements=ELEMENTS, reference_energies=(-13.6, -1030.0, -2040.0), scale=1.3, average_neighbours=7.5
)


def molecule(n_atoms: int, seed: int, spacing: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Species ``[n]`` and positions ``[n, 3]`` of a blob of atoms no two of which are closer than 0.9 Å."""
    rng = np.random.default_rng(seed)
    positions = np.zeros((0, 3))
    while len(positions) < n_atoms:
        trial = rng.normal(size=3) * spacing
        if not len(positions) or np.linalg.norm(positions - trial, axis=1).min() > 0.9:
            positions = np.vstack([positions, trial])
    return rng.integers(len(ELEMENTS), size=n_atoms), positions


def edges(positions: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers of all ordered pairs closer than the cutoff, sorted by receiver."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    receivers, senders = np.nonzero((distances < cutoff) & ~np.eye(len(positions), dtype=bool))
    return senders, receivers


def pack(
    molecules: list[tuple[np.ndarray, np.ndarray]],
    cutoff: float,
    *,
    padding: tuple[int, int, int] = (1, 0, 1),
    dtype: type = np.float32,
    garbage: float = 0.0,
    incoming: int | None = None,
) -> jraph.GraphsTuple:
    """Batch of molecules with one padding graph, as the batching room lays it out.

    ``padding`` counts padding nodes (at least one), padding edges and padding graphs; the positions of padding nodes
    are random numbers of size ``garbage``. With a number ``incoming`` the graph has triplets: the edges that end at
    each node, in so many columns or as many as it takes.
    """
    n_pad_node, n_pad_edge, n_pad_graph = padding
    senders, receivers, first = [], [], 0
    for _, positions in molecules:
        s, r = edges(positions, cutoff)
        senders.append(s + first)
        receivers.append(r + first)
        first += len(positions)
    n_graph = len(molecules)
    noise = garbage * np.random.default_rng(5).normal(size=(n_pad_node, 3))
    n_node = [len(p) for _, p in molecules] + [n_pad_node] + [0] * (n_pad_graph - 1)
    n_edge = [len(s) for s in senders] + [n_pad_edge] + [0] * (n_pad_graph - 1)
    filler = np.full(n_pad_edge, first)
    triplets = None
    if incoming is not None:
        ends = np.concatenate(receivers).astype(int).tolist()
        rows = [[edge for edge, end in enumerate(ends) if end == node] for node in range(first + n_pad_node)]
        width = max([incoming, 1, *map(len, rows)])
        empty = len(ends) + n_pad_edge
        triplets = {"triplets": np.array([row + [empty] * (width - len(row)) for row in rows], np.int32)}
    return jraph.GraphsTuple(
        nodes={
            "positions": np.concatenate([p for _, p in molecules] + [noise]).astype(dtype),
            "species": np.concatenate([s for s, _ in molecules] + [np.zeros(n_pad_node)]).astype(np.int32),
            "forces": np.zeros((first + n_pad_node, 3), dtype),
        },
        edges=triplets,
        senders=np.concatenate(senders + [filler]).astype(np.int32),
        receivers=np.concatenate(receivers + [filler]).astype(np.int32),
        n_node=np.array(n_node, np.int32),
        n_edge=np.array(n_edge, np.int32),
        globals={
            "energy": np.zeros(n_graph + n_pad_graph, dtype),
            "frame": np.array(list(range(n_graph)) + [-1] * n_pad_graph, np.int32),
        },
    )


def gaussian_params(module: nn.Module, *args: Any) -> Any:
    """Parameters of a module drawn from N(0, 1) by NumPy: its own initialisers take long to compile."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
