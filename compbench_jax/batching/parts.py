"""Cutting batches into equal parts, for several devices or to take them in turn: the same frames in smaller shapes."""

import numpy as np

from compbench_jax.batching.dataset import BatchedFrames
from compbench_jax.batching.packing import BatchShape

TRIAL_EPOCHS = 4
"""Epochs whose batches are cut to find the shape of the parts."""

SPARE = 1.05
"""Room of a part over what the fullest one of the trial epochs needs."""


def part_shape(dataset: BatchedFrames, n_parts: int) -> BatchShape:
    """A shape that holds each of the ``n_parts`` parts of nearly any training batch; that of the batches for one part.

    Batches that do not fit it when they are cut (:func:`cut`) have to be taken in the shape of whole batches.
    """
    whole = dataset.shape
    if n_parts == 1:
        return whole
    n_atoms, n_edges = dataset.n_atoms, dataset.n_edges
    nodes, edges, graphs = 0, 0, 0
    for epoch in range(TRIAL_EPOCHS):
        for item in dataset.epoch(epoch, 0):
            for part in _deal(item.indices, n_atoms, n_edges, n_parts):
                nodes, edges = max(nodes, int(n_atoms[part].sum())), max(edges, int(n_edges[part].sum()))
                graphs = max(graphs, len(part))
    return whole._replace(
        n_node=min(int(SPARE * nodes) + 1, whole.n_node),
        n_edge=min(-(-int(SPARE * edges) // 16) * 16, whole.n_edge),
        n_graph=min(2 * graphs + 1, whole.n_graph),
    )


def cut(dataset: BatchedFrames, indices: np.ndarray, n_parts: int, shape: BatchShape) -> list[np.ndarray] | None:
    """Frames of each part of a batch, always assigned in the same way; None if a part does not fit the shape."""
    if n_parts == 1:
        return [indices]
    n_atoms, n_edges = dataset.n_atoms, dataset.n_edges
    parts = _deal(indices, n_atoms, n_edges, n_parts)
    fits = all(
        n_atoms[part].sum() < shape.n_node and n_edges[part].sum() <= shape.n_edge and len(part) < shape.n_graph
        for part in parts
    )
    return parts if fits else None


def _deal(indices: np.ndarray, n_atoms: np.ndarray, n_edges: np.ndarray, n_parts: int) -> list[np.ndarray]:
    """Frames by falling number of edges, each to the part with the fewest edges so far."""
    order = indices[np.lexsort((indices, -n_atoms[indices], -n_edges[indices]))]
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    filled = [(0, 0)] * n_parts
    for index in order.tolist():
        emptiest = min(range(n_parts), key=filled.__getitem__)
        parts[emptiest].append(index)
        edges, atoms = filled[emptiest]
        filled[emptiest] = (edges + int(n_edges[index]), atoms + int(n_atoms[index]))
    return [np.array(part, np.int64) for part in parts]
