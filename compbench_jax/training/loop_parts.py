"""What the training loop works with, and what it changes."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compbench_jax.training.batches import BatchSource, Chunk
from compbench_jax.training.checkpoint import Best, Checkpoints
from compbench_jax.training.chunk import Program, Reports
from compbench_jax.training.configuration import Configuration
from compbench_jax.training.data import RunData
from compbench_jax.training.log import RunLog
from compbench_jax.training.mesh import Layout
from compbench_jax.training.progress import Display
from compbench_jax.training.state import Cursor, TrainState
from compbench_jax.training.validation import Errors, Evaluator

Watcher = Callable[[int, Sequence[Errors]], bool]
"""``watcher(step, errors of each member)``, called after every validation; True stops the run there."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What the loop works with and does not change.

    Attributes:
        configuration: of the run.
        layout: devices of the run.
        data: its frames.
        names: of each training frame, for messages (see :func:`frame_names`).
        source: prepares the batches.
        program, evaluator: the compiled functions.
        checkpoints, log, display: where results go.
        watcher: looks at every validation, if anybody does.
        profile: folder for a trace of a few steps, if one is wanted.
    """

    configuration: Configuration
    layout: Layout
    data: RunData
    names: list[str]
    source: BatchSource
    program: Program
    evaluator: Evaluator
    checkpoints: Checkpoints
    log: RunLog
    display: Display
    watcher: Watcher | None = None
    profile: Path | None = None


@dataclass(eq=False)
class Progress:
    """What the loop changes.

    Attributes:
        state: on the device.
        step: steps dispatched, known without asking the device.
        cursors: the next batch of each member.
        best: best parameters so far.
        seconds: of training, by the log, in earlier stretches of the run.
        noted: steps that were not finite, as far as the log tells them (``MemberState.bad_steps`` of all members).
        reports: what the chunk dispatched last tells, on the device.
        pending: chunk with lines of the log that wait for their numbers.
        recent: chunks since the last look at the device.
        compiled: whether the first chunk, whose dispatch compiles it, has been dispatched.
        halted: whether the watcher has said to stop.
        idle: seconds since the last report in which the device had nothing to do, at most.
        seen: clock reading when the device was last known to be busy.
        started, reported, paused, saved: clock readings: start; last report; seconds since then that were not steps;
            last checkpoint.
        processor: seconds of processor time that this process had taken at the last report.
    """

    state: TrainState
    step: int
    cursors: tuple[Cursor, ...]
    best: Best
    seconds: float
    noted: np.ndarray
    reports: Reports | None = None
    pending: tuple[Chunk, Reports] | None = None
    recent: list[Chunk] = field(default_factory=list)
    compiled: bool = False
    halted: bool = False
    idle: float = 0.0
    seen: float = field(default_factory=time.monotonic)
    started: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)
    paused: float = 0.0
    saved: float = field(default_factory=time.monotonic)
    processor: float = field(default_factory=time.process_time)

    def elapsed(self) -> float:
        """Seconds of training in all stretches of the run."""
        return self.seconds + time.monotonic() - self.started

    def pause(self, begun: float) -> None:
        """Leave the time since ``begun`` out of the rates: something other than steps kept the device."""
        self.seen = time.monotonic()
        self.paused += self.seen - begun
