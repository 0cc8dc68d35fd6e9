"""Triplets of atoms k → j ← i, for potentials that see angles: pairs of edges that end at the same node (NumPy).

Edges are sorted by receiver, so those that end at a node are a contiguous run. A table with one row a node and one
column for each of them names all triplets at once: any two different entries of a row. It is tens of times smaller than
a list of the triplets, and lets the models sum over them by dense products, a matrix a node, in place of gathering and
scattering a row for each triplet. Unused places cost arithmetic (55 to 70% of the products, in alkanes within 5 Å); the
list was still 2.5 to 3 times slower on two CPU cores, in every derivative that training needs.
"""

import numpy as np


def most_incoming(receivers: np.ndarray) -> int:
    """Largest number of edges that end at one node, at least one (the table of no edges has one empty column)."""
    return max(1, int(np.bincount(receivers, minlength=1).max()))


def incoming_edges(receivers: np.ndarray, n_node: int, width: int, filler: int) -> np.ndarray:
    """Table of the edges that end at each node, int32 ``[n_node, width]``.

    Args:
        receivers: ``[n_edge]``, ascending; of the real edges only.
        n_node: rows of the table; nodes without edges have rows of ``filler``.
        width: columns, at least :func:`most_incoming`.
        filler: what stands in unused places: the number of edges of the padded batch, the index of none of them.

    Raises:
        ValueError: more than ``width`` edges end at a node.
    """
    table = np.full((n_node, width), filler, np.int32)
    first = np.searchsorted(receivers, np.arange(n_node))
    place = np.arange(len(receivers)) - first[receivers]
    if len(place) and int(place.max()) >= width:
        raise ValueError(f"{int(place.max()) + 1} edges end at one node, the table has {width} columns")
    table[receivers, place] = np.arange(len(receivers))
    return table


def triplet_padding(receivers: np.ndarray, tables: int, n_node: int, width: int) -> float:
    """Fraction of the places for triplets, ``tables × n_node × width²``, that no triplet occupies.

    Args:
        receivers: receivers of all edges, numbered without repetition over all structures.
        tables: batches.
        n_node: rows of each.
        width: columns of each.
    """
    degree = np.bincount(receivers, minlength=1).astype(np.int64)
    return 1 - float((degree * (degree - 1)).sum()) / max(1, tables * n_node * width**2)
