"""Frames that stay on the disk: each batch is read, and its edges are found, when it is assembled."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jraph
import numpy as np

from compbench_jax.batching.dataset import BatchedFrames, GraphDataset
from compbench_jax.batching.neighbours import count_edges
from compbench_jax.batching.packing import BatchShape, Packed, fixed_shape
from compbench_jax.files import atomic_file
from compbench_jax.labelling.workers import default_workers
from compbench_jax.store.frames import Frames
from compbench_jax.store.store import FrameStore

AT_ONCE = 4096
"""Frames that a thread reads to count their edges: a few MB."""


class FrameSizes(NamedTuple):
    """What is held in memory of each frame, 12 bytes.

    Attributes:
        n_atoms, n_edges: int32 ``[n_frames]``.
        n_incoming: most edges that end at one of its atoms, int32 ``[n_frames]``.
    """

    n_atoms: np.ndarray
    n_edges: np.ndarray
    n_incoming: np.ndarray


@dataclass(frozen=True, eq=False)
class StreamedFrames(BatchedFrames):
    """Frames of a data set in its files. Batches are those of a :class:`GraphDataset` of the same frames, bit for bit.

    Attributes:
        store: where the frames are.
        indices: of the frames, int64 ``[n_frames]``.
        sizes: of the frames.
        settings: of :meth:`GraphDataset.build`, but for batch size and shape.
        batch_size: mean number of structures per batch.
        shape: array sizes of every batch.
    """

    store: FrameStore
    indices: np.ndarray
    sizes: FrameSizes
    settings: Mapping[str, Any]
    batch_size: int
    shape: BatchShape

    @classmethod
    def build(
        cls, store: FrameStore, indices: np.ndarray, sizes: FrameSizes, *, batch_size: int, **settings: Any
    ) -> "StreamedFrames":
        """Choose the shape of the batches, as :meth:`GraphDataset.build` does.

        Raises:
            DataError: no frames, or a molecule that the potential cannot take.
        """
        shape = fixed_shape(sizes.n_atoms, sizes.n_edges, batch_size)
        if settings.get("triplets"):
            shape = shape._replace(n_incoming=max(1, int(sizes.n_incoming.max())))
        # What is wrong with a molecule is wrong with its first frame: say so now, not in the middle of the run.
        _, first = np.unique(store.molecule[indices], return_index=True)
        GraphDataset.build(store.gather(indices[first]), batch_size=1, **settings)
        return cls(store, indices, sizes, settings, batch_size, shape)

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms of each frame, int32 ``[n_frames]``."""
        return self.sizes.n_atoms

    @property
    def n_edges(self) -> np.ndarray:
        """Edges of each frame, int32 ``[n_frames]``."""
        return self.sizes.n_edges

    def read(self, rows: np.ndarray) -> Frames:
        """Copy some of the frames into memory."""
        return self.store.gather(self.indices[rows])

    def batch(self, item: Packed) -> jraph.GraphsTuple:
        """Read and assemble one batch of a plan."""
        rows = np.asarray(item.indices, np.int64)
        part = GraphDataset.build(self.read(rows), batch_size=max(1, len(rows)), shape=item.shape, **self.settings)
        graph = part.batch(Packed(item.shape, np.arange(len(rows))))
        graph.globals["frame"][: len(rows)] = rows
        return graph


def frame_sizes(store: FrameStore, indices: np.ndarray, cutoff: float, folder: Path | None = None) -> FrameSizes:
    """Sizes of frames of a data set, in one pass over their positions: seconds for a million frames a core.

    Args:
        store: where the frames are.
        indices: which, int64 ``[n_frames]``.
        cutoff: Å.
        folder: where the counts of edges are kept, in a file named after all of these; None: nowhere.
    """
    n_atoms = (store.offsets[indices + 1] - store.offsets[indices]).astype(np.int32)
    content = f"{store.hash} {float(cutoff)!r} ".encode() + np.asarray(indices, "<i8").tobytes()
    path = None if folder is None else folder / f"edges-{hashlib.sha256(content).hexdigest()[:16]}.npy"
    counts = None if path is None else _kept(path, n_atoms)
    if counts is None:
        pieces = [indices[start : start + AT_ONCE] for start in range(0, len(indices), AT_ONCE)]
        with ThreadPoolExecutor(default_workers()) as threads:
            parts = list(threads.map(lambda piece: np.stack(count_edges(store.gather(piece), cutoff)), pieces))
        counts = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), np.int32)
        if path is not None:
            with atomic_file(path) as file:
                np.save(file, counts, allow_pickle=False)
    return FrameSizes(n_atoms, *counts)


def _kept(path: Path, n_atoms: np.ndarray) -> np.ndarray | None:
    """Counts of an earlier pass, int32 ``[2, n_frames]``; None where there are none that can be."""
    try:
        counts = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    good = counts.dtype == np.int32 and counts.shape == (2, len(n_atoms))
    pairs = n_atoms.astype(np.int64) * (n_atoms - 1)
    good = good and bool(((counts[0] >= 0) & (counts[0] <= pairs) & (counts[1] < np.maximum(n_atoms, 1))).all())
    return counts if good else None
