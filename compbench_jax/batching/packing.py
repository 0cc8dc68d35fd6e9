"""Packing structures of many sizes into batches of one fixed shape, with little padding.

The number of batches is fixed first. Structures are then assigned to them, larger ones first, each to the
emptiest batch that has room (the rule of Graham, SIAM J. Appl. Math. 17, 416, 1969). Sizes are blurred at
random before they are ranked, so that every epoch mixes again.

Giving each structure of a shuffled list to the first batch with room (first-fit) pads about as little only if
the half-empty batches at the end of an epoch get smaller shapes of their own: each is one more compilation,
and the structures in them weigh more in the mean loss of their batch. Dealing needs one shape, ends no epoch
with a stump, and gives every batch nearly the same number of structures, atoms and edges.

A set of up to ``WHOLE`` structures is shuffled as a whole. A larger one is shuffled by buffer, in bounded time and
memory: its blocks of consecutive structures are drawn at random into buffers, and each buffer is packed by itself.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from compbench_jax.errors import DataError

BLUR = 0.2
"""Sizes are multiplied by up to 1 ± this before they are ranked, so that similar ones trade places."""

TRIALS = 8
"""Epochs that are drawn to find the capacities."""

ATTEMPTS = 32
"""Attempts at dealing an epoch before a batch is added. Most succeed at once: an epoch is no fuller than the
fullest of eight others with probability 8/9, each for nodes and for edges."""

WHOLE = 1 << 18
"""Most structures that are packed at once: two seconds."""

BUFFER = 1 << 15
"""Structures in a buffer of a larger set."""

BLOCK = 64
"""Consecutive structures that come into a buffer together: read from the disk in one piece, and few enough for a buffer
to hold hundreds of blocks."""


MOST = 2**31 - 1
"""Largest 32-bit integer: atoms and edges are numbered with these."""


class BatchShape(NamedTuple):
    """Array sizes of a padded batch: one compilation each.

    Attributes:
        n_node: nodes, at least one of them padding.
        n_edge: edges.
        n_graph: graphs, one of them the padding graph.
        n_incoming: most edges that end at one node, for potentials with triplets (see ``triplets.py``); otherwise 0.
    """

    n_node: int
    n_edge: int
    n_graph: int
    n_incoming: int = 0


class Packed(NamedTuple):
    """One batch of a plan: its shape and the frames in it.

    Attributes:
        shape: sizes to pad to.
        indices: int64 ``[n]``, frames of the set, fewer than ``shape.n_graph``.
    """

    shape: BatchShape
    indices: np.ndarray


def fixed_shape(n_node: np.ndarray, n_edge: np.ndarray, batch_size: int) -> BatchShape:
    """The shape for a set of structures: what the fullest batch of a few trial epochs needs.

    Args:
        n_node: atoms of each structure, ``[n]``.
        n_edge: edges of each structure, ``[n]``.
        batch_size: mean number of structures per batch. The set is divided into round(n / batch_size) batches, so
            that the mean is exact up to this rounding; a smaller set is a single batch.

    Raises:
        DataError: no structures, or a batch size below one.
    """
    if not len(n_node):
        raise DataError("there are no frames to make batches of: choose a set that is not empty")
    if batch_size < 1:
        raise DataError(f"the batch size is {batch_size}: give at least 1")
    batches: list[np.ndarray] = []
    for trial in range(TRIALS):
        rows = buffer_rows(len(n_node), trial, 0)
        bins = number_of_batches(len(rows), batch_size)
        dealt = _deal(n_node[rows], n_edge[rows], bins, np.random.default_rng(trial)) or []
        batches += [rows[batch] for batch in dealt]
    nodes = max(int(n_node.max()), *(int(n_node[batch].sum()) for batch in batches))
    edges = max(int(n_edge.max()), *(int(n_edge[batch].sum()) for batch in batches))
    graphs = max(len(batch) for batch in batches)
    if max(nodes, edges) > MOST:
        raise DataError(
            f"a batch would have {nodes} atoms and {edges} edges, more than 32-bit numbers count: lower the batch size"
        )
    # Graph slots are a few numbers each: room for half as many again serves sets of smaller molecules.
    return BatchShape(nodes + 1, -(-edges // 16) * 16, graphs + -(-graphs // 2) + 1)


def plans_per_epoch(n_frames: int) -> int:
    """Plans that a set of so many structures takes an epoch in: one, or one for each buffer."""
    return 1 if n_frames <= WHOLE else -(-n_frames // BUFFER)


def buffer_rows(n_frames: int, seed: int, number: int) -> np.ndarray:
    """Structures of one plan, counted from the first plan of the first epoch; int64, ascending.

    All of them, or those of a buffer. The buffers of an epoch have every structure once between them.
    """
    epoch, buffer = divmod(number, plans_per_epoch(n_frames))
    if plans_per_epoch(n_frames) == 1:
        return np.arange(n_frames)
    order = np.random.default_rng([seed, epoch, BLOCK]).permutation(-(-n_frames // BLOCK))
    blocks = np.sort(np.array_split(order, plans_per_epoch(n_frames))[buffer])
    rows = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    return rows[rows < n_frames]


def number_of_batches(n_frames: int, batch_size: int) -> int:
    """Batches per epoch: the nearest integer to n_frames / batch_size, at least one."""
    return max(1, (2 * n_frames + batch_size) // (2 * batch_size))


def pack(
    n_node: np.ndarray, n_edge: np.ndarray, shape: BatchShape, batch_size: int, rng: np.random.Generator
) -> list[Packed]:
    """Assign all structures to batches, in random company and random order.

    The number of batches is round(n / batch_size) wherever the shape allows it: always, in practice, for the
    set that the shape was made from.

    Raises:
        DataError: a structure does not fit the shape.
    """
    bins = max(number_of_batches(len(n_node), batch_size), _least_batches(n_node, n_edge, shape))
    dealt = _deal_into(n_node, n_edge, shape, bins, rng, ATTEMPTS)
    return [Packed(shape, dealt[i]) for i in rng.permutation(len(dealt))]


def pack_tightly(n_node: np.ndarray, n_edge: np.ndarray, shape: BatchShape) -> list[Packed]:
    """Assign all structures to as few batches as will do, always in the same way: for evaluation.

    Raises:
        DataError: a structure does not fit the shape.
    """
    bins = _least_batches(n_node, n_edge, shape)
    # Worth more effort the fewer batches there are, for then one more is a larger part of them.
    attempts = min(2 * ATTEMPTS, 4 + 20_000 // max(1, len(n_node)))
    dealt = _deal_into(n_node, n_edge, shape, bins, np.random.default_rng(0), attempts)
    return [Packed(shape, batch) for batch in dealt]


def pack_in_order(n_node: np.ndarray, n_edge: np.ndarray, shape: BatchShape) -> list[Packed]:
    """As :func:`pack_tightly`, one stretch of a set larger than ``WHOLE`` after the other."""
    stretches = np.array_split(np.arange(len(n_node)), plans_per_epoch(len(n_node)))
    plans = [(rows, pack_tightly(n_node[rows], n_edge[rows], shape)) for rows in stretches]
    return [Packed(item.shape, rows[item.indices]) for rows, plan in plans for item in plan]


def padding(plan: Sequence[Packed], n_node: np.ndarray, n_edge: np.ndarray) -> tuple[float, float]:
    """Fractions of nodes and of edges in the batches of a plan that are padding."""
    real_nodes = sum(int(n_node[item.indices].sum()) for item in plan)
    real_edges = sum(int(n_edge[item.indices].sum()) for item in plan)
    nodes, edges = sum(item.shape.n_node for item in plan), sum(item.shape.n_edge for item in plan)
    return 1 - real_nodes / max(nodes, 1), 1 - real_edges / max(edges, 1)


def refuse_too_large(n_node: np.ndarray, n_edge: np.ndarray, shape: BatchShape) -> None:
    """Raise a :class:`DataError` naming the first structure that no batch of this shape can hold."""
    too_large = (n_node >= shape.n_node) | (n_edge > shape.n_edge)
    if too_large.any():
        index = int(np.argmax(too_large))
        raise DataError(
            f"frame {index} of the set has {n_node[index]} atoms and {n_edge[index]} edges, too many for a "
            f"batch of {shape.n_node} nodes and {shape.n_edge} edges: let the set have a shape of its own"
        )


def _least_batches(n_node: np.ndarray, n_edge: np.ndarray, shape: BatchShape) -> int:
    """A lower bound on the number of batches, after checking that every structure fits in one."""
    refuse_too_large(n_node, n_edge, shape)
    return max(
        1,
        -(-int(n_node.sum()) // max(shape.n_node - 1, 1)),
        -(-int(n_edge.sum()) // max(shape.n_edge, 1)),
        -(-len(n_node) // (shape.n_graph - 1)),
    )


def _deal_into(
    n_node: np.ndarray, n_edge: np.ndarray, shape: BatchShape, bins: int, rng: np.random.Generator, attempts: int
) -> list[np.ndarray]:
    """Pack into ``bins`` batches if one of so many attempts succeeds, or into as few more as it takes."""
    more = 1  # grows, so that a set that needs far more batches than the lower bound is soon packed
    while True:
        for _ in range(attempts):
            dealt = _deal(n_node, n_edge, bins, rng, shape)
            if dealt is not None:
                return dealt
        bins += more
        more += bins // 200


def _deal(
    n_node: np.ndarray,
    n_edge: np.ndarray,
    bins: int,
    rng: np.random.Generator,
    shape: BatchShape | None = None,
) -> list[np.ndarray] | None:
    """Pack once; None if something did not fit the shape."""
    mean_nodes, mean_edges = max(n_node.sum() / bins, 1.0), max(n_edge.sum() / bins, 1.0)
    rank = (n_node / mean_nodes + n_edge / mean_edges) * rng.uniform(1 - BLUR, 1 + BLUR, len(n_node))
    order = np.argsort(-rank, kind="stable")
    most_nodes, most_edges, most_graphs = (
        (shape.n_node - 1, shape.n_edge, shape.n_graph - 1) if shape else (np.inf,) * 3
    )
    # The batches as a heap of (fullness in the scarcer resource, number): its root is the emptiest.
    heap = [(0.0, number) for number in range(bins)]
    nodes, edges = [0] * bins, [0] * bins
    batches: list[list[int]] = [[] for _ in range(bins)]
    for index, more_nodes, more_edges in zip(
        order.tolist(), n_node[order].tolist(), n_edge[order].tolist(), strict=True
    ):
        refused = []
        while heap:
            _, number = heap[0]
            new_nodes, new_edges = nodes[number] + more_nodes, edges[number] + more_edges
            if new_nodes <= most_nodes and new_edges <= most_edges and len(batches[number]) < most_graphs:
                break
            refused.append(heapq.heappop(heap))
        else:
            return None
        batches[number].append(index)
        nodes[number], edges[number] = new_nodes, new_edges
        heapq.heapreplace(heap, (max(new_nodes / mean_nodes, new_edges / mean_edges), number))
        for entry in refused:
            heapq.heappush(heap, entry)
    return [np.array(batch, np.int64) for batch in batches if batch]
