"""The frames of a run, ready to batch: training, validation, and the small sets that are only watched."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.neighbours import neighbour_lists
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.models.normalisation import fit_normalisation
from compbench_jax.models.potential import Normalisation
from compbench_jax.splits.split import Split
from compbench_jax.store.frames import Frames
from compbench_jax.store.store import FrameStore
from compbench_jax.training.batches import stack
from compbench_jax.training.loss import Graphs
from compbench_jax.training.mesh import ALONE, SHARES, Layout


@dataclass(frozen=True, eq=False)
class RunData:
    """Data sets of one run.

    Attributes:
        train: frames to fit.
        validation: frames that choose the best checkpoint.
        monitors: ``"id"`` and ``"ood"`` test frames whose force MAE is logged; empty if that is turned off.
    """

    train: GraphDataset
    validation: GraphDataset
    monitors: dict[str, GraphDataset]


def normalisation_of(frames: Frames, cutoff: float) -> Normalisation:
    """Normalisation fitted on the training frames, edges counted within ``cutoff`` (Å)."""
    n_edges = int(neighbour_lists(frames, cutoff).n_edges.sum())
    return fit_normalisation(frames, n_edges / max(int(frames.offsets[-1]), 1))


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
) -> RunData:
    """Gather the frames of a run and find their neighbours.

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
    train = GraphDataset.build(store.gather(split.train), **settings)

    def other(indices: np.ndarray) -> GraphDataset:
        return with_shape(GraphDataset.build(store.gather(indices), **settings), train.shape)

    monitors = {}
    if monitor_frames:
        monitors = {
            "id": other(evenly_spaced(split.id_test, monitor_frames)),
            "ood": other(evenly_spaced(split.ood_test, monitor_frames)),
        }
    return RunData(train, other(split.validation), monitors)


def with_shape(dataset: GraphDataset, shape: BatchShape) -> GraphDataset:
    """The data set with batches of this shape if each of its frames fits one, otherwise unchanged."""
    fits = dataset.frames.n_atoms.max() < shape.n_node and dataset.edges.n_edges.max() <= shape.n_edge
    fits = fits and dataset.shape.n_incoming <= shape.n_incoming
    return replace(dataset, shape=shape) if fits else dataset


def evenly_spaced(indices: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the indices, evenly spaced, first and last among them."""
    if len(indices) <= count:
        return indices
    return indices[np.round(np.linspace(0, len(indices) - 1, count)).astype(np.int64)]


def evaluation_batches(dataset: GraphDataset, layout: Layout = ALONE) -> Iterator[Graphs]:
    """Every frame once: batches with a leading axis ``[n_batch]``, one for each device that batches are spread over.

    Where the last ones are missing there is padding only.
    """
    plan = dataset.sequential()
    plan += [Packed(dataset.shape, np.zeros(0, np.int64))] * (-len(plan) % layout.n_batch)
    for start in range(0, len(plan), layout.n_batch):
        yield layout.put(stack([dataset.batch(item) for item in plan[start : start + layout.n_batch]]), SHARES)
