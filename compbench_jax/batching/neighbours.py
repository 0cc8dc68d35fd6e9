"""Neighbour lists of many small molecules at once, computed once per set of frames (NumPy)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from compbench_jax.errors import DataError
from compbench_jax.store.frames import Frames, offsets_of, ragged_indices

PAIRS_AT_ONCE = 1_000_000
"""Pairs held in memory at a time: 8 MB for each float64 temporary."""

DENSE_LIMIT = 500
"""Frames with more atoms than this go to a k-d tree: all pairs of n atoms cost n² memory."""


Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Edges of some frames: frame indices, edges of each, and the concatenated senders and receivers."""


@dataclass(frozen=True, eq=False)
class EdgeLists:
    """Directed edges of every frame, concatenated; frame ``i`` owns ``offsets[i]:offsets[i + 1]``.

    Every neighbour pair occurs in both directions. Edges of a frame are sorted by receiver, then by sender.

    Attributes:
        senders: int32 ``[n_edges]``, atom index within the frame.
        receivers: int32 ``[n_edges]``, atom index within the frame.
        offsets: int64 ``[n_frames + 1]``.
    """

    senders: np.ndarray
    receivers: np.ndarray
    offsets: np.ndarray

    @property
    def n_edges(self) -> np.ndarray:
        """Edges of each frame, int64 ``[n_frames]``."""
        return np.diff(self.offsets)


def neighbour_lists(frames: Frames, cutoff: float) -> EdgeLists:
    """All ordered pairs of different atoms of one frame with ‖r_i − r_j‖ < ``cutoff`` (Å, open boundaries).

    Distances are computed in float64 from the positions as stored, so that the set of edges does not depend
    on the machine or on how the work is cut up.

    Raises:
        DataError: the cutoff is not a positive length, or a position is not finite (the frame is named).
    """
    refuse_bad_cutoff(cutoff)
    refuse_not_finite(frames, frames.positions, "position")
    parts: list[Part] = [
        _tree_part(frames, int(members[0]), cutoff)
        if size > DENSE_LIMIT
        else _dense_part(frames, members, size, cutoff)
        for size, members in _by_size(frames)
    ]

    n_edges = np.zeros(frames.n_frames, np.int64)
    for indices, counts, _, _ in parts:
        n_edges[indices] = counts
    offsets = offsets_of(n_edges)
    senders, receivers = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    for indices, counts, part_senders, part_receivers in parts:
        rows = ragged_indices(offsets[indices], counts)
        senders[rows], receivers[rows] = part_senders, part_receivers
    return EdgeLists(senders, receivers, offsets)


def count_edges(frames: Frames, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges of each frame, and the most that end at one of its atoms, int32 ``[n_frames]`` twice.

    Those of :func:`neighbour_lists`, without the lists.

    Raises:
        DataError: as there.
    """
    refuse_bad_cutoff(cutoff)
    refuse_not_finite(frames, frames.positions, "position")
    edges, incoming = np.zeros(frames.n_frames, np.int32), np.zeros(frames.n_frames, np.int32)
    for size, members in _by_size(frames):
        if size > DENSE_LIMIT:
            _, edges[members], _, receivers = _tree_part(frames, int(members[0]), cutoff)
            incoming[members] = np.bincount(receivers, minlength=1).max()
        else:
            degree = _degrees(frames, members, size, cutoff)
            edges[members], incoming[members] = degree.sum(axis=0), degree.max(axis=0, initial=0)
    return edges, incoming


def _degrees(frames: Frames, indices: np.ndarray, size: int, cutoff: float) -> np.ndarray:
    """Neighbours of each atom, int32 ``[size, n]``, each pair compared once and alike."""
    rows = frames.offsets[indices] + np.arange(size)[:, None]
    positions = np.ascontiguousarray(frames.positions[rows].transpose(2, 0, 1), np.float64)
    degree = np.zeros((size, len(indices)), np.int32)
    for apart in range(1, size):
        difference = positions[:, apart:] - positions[:, :-apart]
        squared = np.square(difference, out=difference)
        near = squared[0] + squared[1] + squared[2] < cutoff * cutoff
        degree[apart:] += near
        degree[:-apart] += near
    return degree


def _by_size(frames: Frames) -> Iterator[tuple[int, np.ndarray]]:
    """Number of atoms and indices of frames of equal size, as many at once as memory is meant for, large ones alone."""
    n_atoms = frames.n_atoms
    for size in np.unique(n_atoms).tolist():
        members = np.flatnonzero(n_atoms == size)
        at_once = max(1, PAIRS_AT_ONCE // max(1, size**2)) if size <= DENSE_LIMIT else 1
        for start in range(0, len(members), at_once):
            yield size, members[start : start + at_once]


def refuse_bad_cutoff(cutoff: float) -> None:
    """Raise a :class:`DataError` unless the cutoff (Å) is a positive length."""
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise DataError(f"the cutoff is {cutoff} Å: give a positive length")


def refuse_not_finite(frames: Frames, values: np.ndarray, what: str) -> None:
    """Raise a :class:`DataError` naming the first frame in which a value is not finite."""
    finite = np.isfinite(values)
    if finite.all():
        return
    first = int(np.argmin(finite.reshape(len(values), -1).all(axis=1)))
    frame = first if len(values) == frames.n_frames else int(np.searchsorted(frames.offsets, first, "right")) - 1
    raise DataError(
        f"frame {frame} of the set (molecule {frames.molecule[frame]}) has a {what} that is not finite: "
        "remove the frame or label it again"
    )


def _dense_part(frames: Frames, indices: np.ndarray, size: int, cutoff: float) -> Part:
    """Edges of frames of equal size, by comparing all pairs."""
    rows = frames.offsets[indices][:, None] + np.arange(size)
    positions = frames.positions[rows].astype(np.float64)
    squared = np.zeros((len(indices), size, size))
    for axis in range(3):
        difference = positions[:, :, None, axis] - positions[:, None, :, axis]
        squared += difference * difference
    near = squared < cutoff * cutoff
    near[:, np.arange(size), np.arange(size)] = False
    counts = np.count_nonzero(near, axis=(1, 2))
    # Row-major order of [frame, receiver, sender] is the promised order of the edges.
    pairs = np.flatnonzero(near).astype(np.int32 if near.size < 2**31 else np.int64)
    receivers, senders = np.divmod(pairs % (size * size), size) if size else (pairs, pairs)
    return indices, counts, senders.astype(np.int32), receivers.astype(np.int32)


def _tree_part(frames: Frames, index: int, cutoff: float) -> Part:
    """Edges of one large frame by a k-d tree, decided by the same comparison as the dense ones."""
    start, stop = frames.offsets[index], frames.offsets[index + 1]
    positions = frames.positions[start:stop].astype(np.float64)
    # The tree's own rounding must not decide: it proposes slightly too many pairs.
    pairs = cKDTree(positions).query_pairs(cutoff * (1 + 1e-9), output_type="ndarray")
    squared = np.zeros(len(pairs))
    for axis in range(3):
        difference = positions[pairs[:, 0], axis] - positions[pairs[:, 1], axis]
        squared += difference * difference
    pairs = pairs[squared < cutoff * cutoff]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.lexsort((both[:, 0], both[:, 1]))]
    return np.array([index]), np.array([len(both)]), both[:, 0].astype(np.int32), both[:, 1].astype(np.int32)
