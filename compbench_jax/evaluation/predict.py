"""Predictions of a potential for all frames of a data set: padded batches through one compiled program."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, Protocol

import jax
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.packing import BatchShape
from compbench_jax.batching.prefetch import prefetch
from compbench_jax.labelling.workers import default_workers
from compbench_jax.models.potential import Params, Potential
from compbench_jax.store.frames import Frames, ragged_indices

BEHIND = 2
"""Batches whose forces stay on the device while the next are computed, so that host and device work at once."""

MOST_LANES = 4
"""Maximum number of concurrent batches on a CPU. One batch does not fill the cores: on two of them MACE gains half as
much again, SchNet a tenth. Each concurrent batch needs memory of its own.
"""

SPARE = 1.2
"""Graph slots over what the mean size of a set asks for. A slot costs a few numbers, a lack of them a batch."""


class Step(Protocol):
    """``step(params, graph) -> (energy, forces)``, jitted, see :func:`make_step`."""

    def __call__(self, params: Params, graph: Any, /) -> tuple[jax.Array, jax.Array]:
        """Predict one batch."""

    def lower(self, params: Params, graph: Any, /) -> Any:
        """The program for arguments of these shapes."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a potential says of the frames of a data set, in their order.

    Attributes:
        energy: total energies, eV, float64 ``[n_frames]`` (reference energies added back in float64).
        forces: eV/Å, float32 ``[n_atoms, 3]``.
    """

    energy: np.ndarray
    forces: np.ndarray

    def select(self, frames: Frames, chosen: np.ndarray) -> "Predictions":
        """Those where ``chosen`` (bool ``[n_frames]``) holds, of predictions for these frames."""
        if chosen.all():
            return self
        atoms = np.repeat(chosen, frames.n_atoms)
        return Predictions(self.energy[chosen], self.forces[atoms])


def shared_shape(sets: Sequence[GraphDataset]) -> BatchShape:
    """One batch shape that holds the frames of every set: one compilation for all of them.

    Nodes and edges are what the most demanding set needs for its batch size; graph slots are enough for the
    smallest molecules to fill a batch.
    """
    n_node = max(item.shape.n_node for item in sets)
    n_edge = max(item.shape.n_edge for item in sets)
    smallest = min(float(item.frames.n_atoms.mean()) for item in sets)
    n_graph = max(*(item.shape.n_graph for item in sets), math.ceil(SPARE * n_node / smallest) + 1)
    return BatchShape(n_node, n_edge, n_graph, max(item.shape.n_incoming for item in sets))


def with_shape(sets: Sequence[GraphDataset], shape: BatchShape) -> list[GraphDataset]:
    """The same sets, batched to this shape."""
    return [replace(item, shape=shape) for item in sets]


def make_step(potential: Potential) -> Step:
    """The jitted evaluation of one padded batch; JAX compiles it once for each shape.

    Returns:
        ``step(params, graph) -> (energy, forces)``: interaction energies, eV ``[n_graph]``, and forces, eV/Å
        ``[n_node, 3]``.
    """
    return jax.jit(potential.energy_and_forces)


def predict(
    step: Step,
    params: Params,
    dataset: GraphDataset,
    *,
    progress: Callable[[int], Any] | None = None,
) -> Predictions:
    """Predict every frame of a data set.

    Args:
        step: from :func:`make_step`.
        params: of the potential.
        dataset: batched with the elements, reference energies and cutoff of the potential.
        progress: called with the number of frames of every finished batch.
    """
    params = jax.device_put(params)
    concurrent = concurrent_batches()
    free: SimpleQueue[None] = SimpleQueue()
    energy = np.zeros(dataset.n_frames)
    forces = np.zeros((len(dataset.frames.numbers), 3), np.float32)
    offsets, n_atoms = dataset.frames.offsets, dataset.frames.n_atoms
    waiting: list[tuple[np.ndarray, Future[tuple[jax.Array, jax.Array]]]] = []

    def run(graph: Any) -> tuple[jax.Array, jax.Array]:
        free.get()
        try:
            of_graphs, of_nodes = step(params, graph)
            if concurrent > 1:  # a place is free when its batch has finished; a single one queues on the device
                jax.block_until_ready(of_nodes)
            return of_graphs, of_nodes
        finally:
            free.put(None)

    def collect() -> None:
        indices, future = waiting.pop(0)
        of_graphs, of_nodes = future.result()
        lengths = n_atoms[indices]
        energy[indices] = np.asarray(of_graphs)[: len(indices)]
        forces[ragged_indices(offsets[indices], lengths)] = np.asarray(of_nodes)[: int(lengths.sum())]
        if progress is not None:
            progress(len(indices))

    plan = dataset.sequential()
    with ThreadPoolExecutor(concurrent) as threads:
        for item, graph in zip(plan, prefetch(dataset.batch(item) for item in plan), strict=True):
            if item is plan[0]:
                used = concurrent if concurrent == 1 or not calls_lapack(step, params, graph) else 1
                for _ in range(used):
                    free.put(None)
            waiting.append((item.indices, threads.submit(run, graph)))
            if item is plan[0]:
                wait([waiting[0][1]])  # the first one compiles, for all
            if len(waiting) > max(concurrent, BEHIND):
                collect()
        while waiting:
            collect()
    return Predictions(energy + dataset.reference, forces)


def calls_lapack(step: Step, *arguments: Any) -> bool:
    """Whether the program of a step calls LAPACK, as decompositions of matrices do on a CPU.

    Such a call waits on a thread of XLA's pool for other threads of that pool: when all of them wait so, in programs
    that run at once, they wait for ever (jaxlib 0.10).
    """
    return "lapack_" in step.lower(*arguments).as_text()


def concurrent_batches() -> int:
    """Batches to compute at once: as many as there are cores, up to ``MOST_LANES``, on a CPU, and one elsewhere."""
    return min(MOST_LANES, default_workers()) if jax.default_backend() == "cpu" else 1
