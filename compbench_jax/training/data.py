"""The frames of a run, ready to batch: training, validation, and the small sets that are only watched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from compbench_jax.batching.dataset import BatchedFrames, GraphDataset
from compbench_jax.batching.neighbours import count_edges, neighbour_lists
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.batching.streamed import FrameSizes, StreamedFrames, frame_sizes
from compbench_jax.errors import DataError
from compbench_jax.models.normalisation import fit_normalisation, fit_reference_energies
from compbench_jax.models.potential import Normalisation
from compbench_jax.splits.frames import evenly_spaced
from compbench_jax.splits.split import Split
from compbench_jax.store.frames import Frames, ragged_indices
from compbench_jax.store.store import FrameStore
from compbench_jax.training.batches import stack
from compbench_jax.training.loss import Graphs
from compbench_jax.training.mesh import ALONE, SHARES, Layout

MOST_IN_MEMORY = 2 << 30
"""Bytes of training frames and edges above which they are left on the disk by default."""

BYTES_PER_ATOM, BYTES_PER_EDGE = 32, 8
"""Of frames in memory: positions, forces, atomic number and species; sender and receiver."""

SAMPLE = 1000
"""Frames whose edges are counted to estimate the size of a set."""

FORCES_AT_ONCE = 1 << 15
"""Frames whose forces are in memory while the scale of a set on the disk is computed."""


@dataclass(frozen=True, eq=False)
class RunData:
    """Data sets of one run.

    Attributes:
        train: frames to fit.
        validation: frames that choose the best checkpoint.
        monitors: ``"id"`` and ``"ood"`` test frames whose force MAE is logged; empty if that is turned off.
    """

    train: BatchedFrames
    validation: BatchedFrames
    monitors: dict[str, GraphDataset]


def normalisation_of(frames: Frames, cutoff: float) -> Normalisation:
    """Normalisation fitted on the training frames, edges counted within ``cutoff`` (Å)."""
    n_edges = int(neighbour_lists(frames, cutoff).n_edges.sum())
    return fit_normalisation(frames, n_edges / max(int(frames.offsets[-1]), 1))


def size_in_memory(store: FrameStore, indices: np.ndarray, cutoff: float) -> float:
    """Bytes that frames and their edges within ``cutoff`` (Å) would take, estimated from some of the frames."""
    if not len(indices):
        return 0.0
    some = store.gather(evenly_spaced(indices, SAMPLE))
    edges = float(count_edges(some, cutoff)[0].sum()) / max(len(some.numbers), 1)
    n_atoms = int((store.offsets[indices + 1] - store.offsets[indices]).sum())
    return n_atoms * (BYTES_PER_ATOM + BYTES_PER_EDGE * edges)


def stay_on_disk(store: FrameStore, indices: np.ndarray, cutoff: float, setting: str) -> bool:
    """Whether training frames are read batch by batch, by the setting ``--device.data``."""
    return setting == "disk" or (setting == "auto" and size_in_memory(store, indices, cutoff) > MOST_IN_MEMORY)


def streamed_normalisation(store: FrameStore, indices: np.ndarray, sizes: FrameSizes) -> Normalisation:
    """:func:`normalisation_of` of frames on the disk, with a part of them in memory at a time.

    Raises:
        DataError: all forces vanish.
    """
    molecule = store.molecule[indices]
    present, index, frames = np.unique(molecule, return_inverse=True, return_counts=True)
    graphs = [store.graphs[m] for m in present]
    elements = np.unique(np.concatenate([graph.numbers for graph in graphs]))
    counts = np.array([(graph.numbers[:, None] == elements).sum(axis=0) for graph in graphs], np.float64)
    mean = np.bincount(index, weights=store.energy[indices]) / frames
    squares = 0.0
    for start in range(0, len(indices), FORCES_AT_ONCE):
        some = indices[start : start + FORCES_AT_ONCE]
        rows = ragged_indices(store.offsets[some], sizes.n_atoms[start : start + FORCES_AT_ONCE])
        squares += float(np.square(store.forces[rows], dtype=np.float64).sum())
    n_atoms = int(sizes.n_atoms.sum(dtype=np.int64))
    if not squares > 0:
        raise DataError("all training forces are zero, which sets no scale: check the labels of the data set")
    return Normalisation(
        elements=tuple(elements.tolist()),
        reference_energies=tuple(fit_reference_energies(counts, mean, frames).tolist()),
        scale=float(np.sqrt(squares / (3 * n_atoms))),
        average_neighbours=int(sizes.n_edges.sum(dtype=np.int64)) / max(n_atoms, 1),
    )


def build_data(
    store: FrameStore,
    split: Split,
    normalisation: Normalisation,
    cutoff: float,
    batch_size: int,
    monitor_frames: int,
    triplets: bool = False,
    bonded: bool = False,
    dtype: type = np.float32,
    on_disk: bool = False,
    folder: Path | None = None,
) -> RunData:
    """Gather the frames of a run and find their neighbours; or, ``on_disk``, leave training and validation frames in
    their files, the numbers of their edges kept in ``folder``.

    The sets share the shape of the training batches wherever their frames fit it, which saves compilations.

    Raises:
        DataError: an element that does not occur in training, or a label that is not finite.
    """
    settings: dict[str, Any] = {
        "elements": normalisation.elements,
        "reference_energies": normalisation.reference_energies,
        "cutoff": cutoff,
        "batch_size": batch_size,
        "triplets": triplets,
        "graphs": store.graphs if bonded else None,
        "dtype": dtype,
    }

    def in_memory(indices: np.ndarray) -> BatchedFrames:
        return GraphDataset.build(store.gather(indices), **settings)

    def in_files(indices: np.ndarray) -> BatchedFrames:
        return StreamedFrames.build(store, indices, frame_sizes(store, indices, cutoff, folder), **settings)

    build = in_files if on_disk else in_memory
    train = build(split.train)

    def other(indices: np.ndarray) -> GraphDataset:
        return cast(GraphDataset, with_shape(in_memory(indices), train.shape))

    monitors = {}
    if monitor_frames:
        monitors = {
            "id": other(evenly_spaced(split.id_test, monitor_frames)),
            "ood": other(evenly_spaced(split.ood_test, monitor_frames)),
        }
    return RunData(train, with_shape(build(split.validation), train.shape), monitors)


def with_shape(dataset: BatchedFrames, shape: BatchShape) -> BatchedFrames:
    """The data set with batches of this shape if each of its frames fits one, otherwise unchanged."""
    fits = dataset.n_atoms.max() < shape.n_node and dataset.n_edges.max() <= shape.n_edge
    fits = fits and dataset.shape.n_incoming <= shape.n_incoming
    return replace(cast(Any, dataset), shape=shape) if fits else dataset


def evaluation_batches(dataset: BatchedFrames, layout: Layout = ALONE) -> Iterator[Graphs]:
    """Every frame once: batches with a leading axis ``[n_batch]``, one for each device that batches are spread over.

    Where the last ones are missing there is padding only. A process makes those of its own devices.
    """
    plan = dataset.sequential()
    plan += [Packed(dataset.shape, np.zeros(0, np.int64))] * (-len(plan) % layout.n_batch)
    for start in range(0, len(plan), layout.n_batch):

        def some(places: Sequence[int], start: int = start) -> Graphs:
            return stack([dataset.batch(plan[start + place]) for place in places])

        yield layout.put_own([layout.n_batch], SHARES, some)
