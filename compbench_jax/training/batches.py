"""The sequence of training batches of all ensemble members, in dispatches of a few steps, prepared in advance."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from compbench_jax.batching.dataset import BatchedFrames, GraphDataset
from compbench_jax.batching.device import DeviceFrames, assemble, countable, device_frames, frame_slots, size_on_device
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.batching.parts import cut, part_shape
from compbench_jax.errors import RunError
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.dispatch import Fetch
from compbench_jax.training.mesh import BATCHES, Layout
from compbench_jax.training.settings import DeviceSettings
from compbench_jax.training.state import Cursor

MOST_ON_CPU = 2 << 30
"""Bytes of training frames that are kept on a CPU "device" by default: they are in memory twice."""

ON_CPU, ELSEWHERE = 1, 16
"""Steps per dispatch. On a CPU the host's share of a step is small and more steps at a time only delay checkpoints."""


@dataclass(frozen=True, eq=False)
class Dispatch:
    """Consecutive steps, ready to be taken.

    Attributes:
        step: steps of the run before the first of them.
        count: how many; the arrays have room for the most that there can be.
        batches, length: on the device, what the program wants: batches and ``count``.
        shape: of the parts of the batches.
        cursors: before each step, of each member.
        frames: of each step and member, int64.
        after: cursors after the last step.
    """

    step: int
    count: int
    batches: Any
    length: jax.Array
    shape: BatchShape
    cursors: list[tuple[Cursor, ...]]
    frames: list[list[np.ndarray]]
    after: tuple[Cursor, ...]


class BatchSampler:
    """Endless sampler of the batches of one ensemble member, which are a function of its seed alone."""

    def __init__(self, dataset: BatchedFrames, seed: int, start: Cursor):
        self.dataset, self.seed = dataset, seed
        self.cursor = start
        self.plan: list[Packed] | None = None

    def next(self) -> tuple[Cursor, np.ndarray]:
        """Where the next batch stands, and its frames."""
        epoch, position = self.cursor
        plan = self.dataset.epoch(self.seed, epoch) if self.plan is None else self.plan
        if position >= len(plan):  # a run that ended with an epoch is gone on with here
            epoch, position = epoch + 1, 0
            plan = self.dataset.epoch(self.seed, epoch)
        self.plan, self.cursor = plan, Cursor(epoch, position + 1)
        return Cursor(epoch, position), np.asarray(plan[position].indices)


class BatchSource:
    """Prepares the batches of a run: as frame numbers for frames on the device, or as batches assembled here.

    Args:
        dataset: training frames.
        configuration: of the run.
        layout: devices.

    Attributes:
        on_device: whether the frames are on the device.
        data: what the program's ``fetch`` works with, on the device.
        fetch: see :func:`compbench_jax.training.dispatch.make_program`.
        length: most steps per dispatch.
        shape: of the parts of nearly all batches.
    """

    def __init__(self, dataset: BatchedFrames, configuration: RunConfig, layout: Layout):
        self.dataset, self.configuration, self.layout = dataset, configuration, layout
        device = configuration.device
        self.on_device = keep_on_device(dataset, device)
        self.length = device.steps_per_dispatch or (ON_CPU if jax.default_backend() == "cpu" else ELSEWHERE)
        self.n_parts = layout.n_batch * device.accumulate
        self.shape = part_shape(dataset, self.n_parts)
        self.data: DeviceFrames | tuple[()] = ()
        if self.on_device and isinstance(dataset, GraphDataset):
            self.data = layout.put(device_frames(dataset))
        self.fetch: Fetch = assemble if self.on_device else assembled

    @property
    def where(self) -> str:
        """Where the frames are: ``"device"``, ``"host"`` or ``"disk"``."""
        return "device" if self.on_device else "host" if isinstance(self.dataset, GraphDataset) else "disk"

    def dispatches(self, step: int, cursors: Sequence[Cursor]) -> Iterator[Dispatch]:
        """Chunks from a step of the run on, where each member stands at its cursor."""
        members = self.configuration.members()
        samplers = [BatchSampler(self.dataset, m.seed, cursor) for m, cursor in zip(members, cursors, strict=True)]
        while step < self.configuration.steps:
            count = dispatch_end(self.configuration, step, self.length) - step
            taken = [[sampler.next() for sampler in samplers] for _ in range(count)]
            places = [tuple(place for place, _ in row) for row in taken]
            frames = [[indices for _, indices in row] for row in taken]
            shape, parts = self._cut(frames)
            yield Dispatch(
                step=step,
                count=count,
                batches=self._prepare(parts, shape),
                length=self.layout.put(np.int32(count)),
                shape=shape,
                cursors=places,
                frames=frames,
                after=tuple(sampler.cursor for sampler in samplers),
            )
            step += count

    def _cut(self, frames: list[list[np.ndarray]]) -> tuple[BatchShape, list[list[list[np.ndarray]]]]:
        """Parts of every batch, and the shape that holds them all: that of whole batches where the usual does not."""
        for shape in (self.shape, self.dataset.shape):
            parts = [[cut(self.dataset, indices, self.n_parts, shape) for indices in row] for row in frames]
            if all(batch is not None for row in parts for batch in row):
                return shape, [[batch or [] for batch in row] for row in parts]
        raise AssertionError("a part of a batch does not fit the shape of the batch")

    def _prepare(self, parts: list[list[list[np.ndarray]]], shape: BatchShape) -> Any:
        """Arrays ``[length, n_members, n_parts, …]`` on the device; rows beyond the last step are never looked at."""
        if self.on_device:
            slots = np.full((self.length, len(parts[0]), self.n_parts, shape.n_graph), -1, np.int32)
            for index in np.ndindex(len(parts), len(parts[0]), self.n_parts):
                slots[index] = frame_slots(parts[index[0]][index[1]][index[2]], shape)
            return self.layout.put(slots, BATCHES)
        return self._put_graphs(parts, shape)

    def _put_graphs(self, parts: list[list[list[np.ndarray]]], shape: BatchShape) -> Any:
        """Batches assembled here and put on the devices of this process: only those that these need."""
        grid = (self.length, len(parts[0]), self.n_parts)

        def graph(step: int, member: int, part: int) -> Any:
            return self.dataset.batch(Packed(shape, parts[min(step, len(parts) - 1)][member][part]))

        def block(_: Sequence[int], members: Sequence[int], pieces: Sequence[int]) -> Any:
            rows = [[stack([graph(k, m, p) for p in pieces]) for m in members] for k in range(len(parts))]
            taken = stack([stack(row) for row in rows])
            spare = self.length - len(parts)
            return jax.tree.map(lambda x: np.concatenate([x, np.zeros((spare, *x.shape[1:]), x.dtype)]), taken)

        return self.layout.put_own(grid, BATCHES, block)


def keep_on_device(dataset: BatchedFrames, settings: DeviceSettings) -> bool:
    """Whether the training frames are to live on the device.

    Raises:
        RunError: they are told to, and have too many atoms or edges.
    """
    if settings.data not in ("auto", "device") or not isinstance(dataset, GraphDataset):
        return False
    if not countable(dataset):
        if settings.data == "auto":
            return False
        edges = dataset.edges.offsets[-1]
        raise RunError(
            f"the training frames have {edges} edges, too many for the 32-bit integers of a device: "
            "give --device.data host or disk"
        )
    if settings.data == "device":
        return True
    device = jax.local_devices()[0]
    stats: Callable[[], Any] = getattr(device, "memory_stats", lambda: None)
    limit = (stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
    return jax.process_count() == 1 and size_on_device(dataset) < (limit // 4 if limit else MOST_ON_CPU)


def dispatch_end(configuration: RunConfig, step: int, length: int) -> int:
    """Last step of the next dispatch: a multiple of the dispatch's length or of validations, or the last step."""
    every = configuration.watch.validate_every
    return min(step - step % length + length, step - step % every + every, configuration.steps)


def assembled(data: Any, item: Any, shape: BatchShape) -> Any:
    """``fetch`` for batches that the host assembles: they are what was sent."""
    return item


def stack(trees: Sequence[Any]) -> Any:
    """Trees of NumPy arrays as one, with a new leading axis."""
    return jax.tree.map(lambda *x: np.stack(x), *trees)
