"""The trainer: steps without waiting for the device, and now and then a log record, a validation, a checkpoint."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from compbench_jax.batching.prefetch import prefetch
from compbench_jax.errors import RunError
from compbench_jax.labelling.workers import default_workers
from compbench_jax.training import processes
from compbench_jax.training.batches import BatchSource, Dispatch
from compbench_jax.training.checkpoint import Checkpoint, Checkpoints, better
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.data import RunData
from compbench_jax.training.dispatch import Program, Reports
from compbench_jax.training.interruption import Interruption
from compbench_jax.training.log import RunLog
from compbench_jax.training.log_records import farewell, member_key, refusal, train_values, validation_values
from compbench_jax.training.mesh import MEMBERS, Layout
from compbench_jax.training.profile import Profiler
from compbench_jax.training.progress import Display
from compbench_jax.training.state import Cursor, TrainState, member_of
from compbench_jax.training.validation import Errors, Evaluator, errors_on

Watcher = Callable[[int, Sequence[Errors]], bool]
"""``watcher(step, errors of each member)``, called after every validation; True stops the run there."""


@dataclass(eq=False)
class Clock:
    """Where the time went since the last report: steps, and what kept the device from them.

    Attributes:
        seconds: of training, by the log, in earlier stretches of the run.
        idle: seconds since the last report in which the device had nothing to do, at most.
        seen: clock reading when the device was last known to be busy.
        started, reported, paused, saved: clock readings: start; last report; seconds since then that were not steps;
            last checkpoint.
        processor: seconds of processor time that this process had taken at the last report.
    """

    seconds: float
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

    def report(self) -> tuple[float, float, float]:
        """Seconds of steps since the last report, the device's idle fraction of them at most, and the share of the
        cores that this process may use which it had, pauses included. Begins a new report.
        """
        now = self.seen = time.monotonic()
        before, self.processor = self.processor, time.process_time()
        busy = (self.processor - before) / max(now - self.reported, 1e-9) / default_workers()
        seconds = max(now - self.reported - self.paused, 1e-9)
        host = round(min(self.idle / seconds, 1.0), 4)
        self.reported, self.paused, self.idle = now, 0.0, 0.0
        return seconds, host, round(min(busy, 1.0), 4)


class Trainer:
    """Takes the steps of a run that are left.

    Args:
        configuration: of the run.
        layout: devices of the run.
        data: its frames.
        names: of some training frames, for messages (see :func:`frame_names`).
        source: prepares the batches.
        program: the compiled step.
        evaluator: the compiled evaluation.
        checkpoints: where parameters go.
        log: where the lines of the log go.
        display: where the user sees them.
        start: where to begin.
        seconds: of training, by the log, in earlier stretches of the run.
        watcher: looks at every validation, if anybody does.
        profile: folder for a trace of a few steps, if one is wanted.

    Attributes:
        state: on the device.
        step: steps dispatched, known without asking the device.
        cursors: the next batch of each member.
        best: best parameters so far.
        halted: whether the watcher has said to stop.
    """

    def __init__(
        self,
        configuration: RunConfig,
        layout: Layout,
        data: RunData,
        names: Callable[[np.ndarray], list[str]],
        source: BatchSource,
        program: Program,
        evaluator: Evaluator,
        checkpoints: Checkpoints,
        log: RunLog,
        display: Display,
        start: Checkpoint,
        seconds: float,
        watcher: Watcher | None = None,
        profile: Path | None = None,
    ):
        self.configuration, self.layout, self.data, self.names = configuration, layout, data, names
        self.source, self.program, self.evaluator = source, program, evaluator
        self.checkpoints, self.log, self.display = checkpoints, log, display
        self.watcher, self.profile = watcher, profile
        self.step = int(start.state.step)
        self.state = TrainState(layout.put(start.state.step), layout.put(start.state.members, MEMBERS))
        self.cursors, self.best = start.cursors, start.best
        self.clock = Clock(seconds)
        self.halted = False
        self._noted = np.array(start.state.members.bad_steps)
        """Steps that were not finite, as far as the log tells them (``MemberState.bad_steps`` of all members)."""
        self._reports: Reports | None = None
        """Reports of the last dispatch, on the device."""
        self._pending: tuple[Dispatch, Reports] | None = None
        """Dispatch with log records that wait for their numbers."""
        self._recent: list[Dispatch] = []
        """Chunks since the last look at the device."""
        self._compiled = False
        """Whether the first dispatch, which compiles the program, is done."""

    def run(self) -> int | None:
        """Take the steps that are left.

        Returns:
            None, or the signal that stopped the run early, with a checkpoint written.

        Raises:
            RunError: every member has met two steps that were not finite; the state before the last of these is saved.
            OSError: the disk is full.
        """
        watch, total = self.configuration.watch, self.configuration.steps
        dispatches = self.source.dispatches(self.step, self.cursors)
        stream = cast(Generator[Dispatch, None, None], prefetch(dispatches))
        self.display.start(self.step, total)
        profiler, agreement = Profiler(self.profile, self.clock.pause), processes.Agreement()
        with contextlib.closing(stream), profiler, Interruption() as interruption:
            while self.step < total and not (self.halted or self.stalled()):
                due = time.monotonic() - self.clock.saved >= watch.checkpoint_seconds
                # All processes save and stop after the same step, whichever of them was told to.
                number, due_anywhere = agreement.largest([interruption.signal or 0, int(due and processes.is_first())])
                if number or (due_anywhere and self._recent):
                    self.save()
                if number:
                    return number
                with profiler.dispatch(self.state, self.step):
                    self._take(next(stream))
                if self.step == total or self.step % watch.validate_every == 0:
                    self.validate()
                    self.save()
        return None

    def stalled(self) -> bool:
        """Whether no member has reached a lower validation loss for as many validations as patience lasts."""
        patience, every = self.configuration.watch.patience, self.configuration.watch.validate_every
        return bool(patience) and self.step - int(self.best.step.max()) >= patience * every

    def validate(self) -> None:
        """Errors of the moving averages on validation frames and monitors; those that are a member's best are kept."""
        self._ready()
        begun = time.monotonic()
        averages, configuration = self.state.members.ema, self.configuration
        n_members = len(configuration.members())
        errors = errors_on(self.evaluator, averages, self.data.validation, n_members, self.layout)
        losses = [item.loss(configuration.loss) for item in errors]
        wins = np.asarray(losses) < self.best.loss
        if wins.any():
            # A copy: the next step reuses the buffers of the state.
            host = jax.tree.map(lambda x: np.array(x, copy=True), self.layout.get(averages))
            self.best = better(self.best, self.step, losses, host)
        monitors = {
            name: errors_on(self.evaluator, averages, dataset, n_members, self.layout)
            for name, dataset in self.data.monitors.items()
        }
        for k in range(n_members):
            values = validation_values(
                errors[k], losses[k], bool(wins[k]), {name: m[k] for name, m in monitors.items()}
            )
            seconds = round(self.clock.elapsed(), 3)
            self.log.write("validation", self.step, **member_key(configuration, k), **values, seconds=seconds)
        self.display.validated(float(np.mean([item.force_mae for item in errors])))
        if self.watcher is not None:
            self.halted = self.watcher(self.step, errors)
        self.clock.pause(begun)

    def save(self) -> None:
        """Write a checkpoint of the present state, all log records up to it first."""
        self._ready()
        begun = time.monotonic()
        self.checkpoints.save(Checkpoint(self.layout.get(self.state), self.cursors, self.best))
        self.clock.saved = time.monotonic()
        self.clock.pause(begun)

    def _take(self, dispatch: Dispatch) -> None:
        """Dispatch; nothing is fetched from the device but log records of the dispatch before."""
        begun = time.monotonic()
        before: Any = self._reports
        if before is not None and before.bad_steps.is_ready():
            self.clock.idle += begun - self.clock.seen
        with jax.transfer_guard("disallow"):
            self.state, self._reports = self.program(
                self.state, self.source.data, dispatch.batches, dispatch.length, shape=dispatch.shape
            )
        self.clock.seen = time.monotonic()
        if not self._compiled:
            self._compiled = True
            self.clock.pause(begun)
        self.step += dispatch.count
        self.cursors = dispatch.after
        self._recent.append(dispatch)
        self._flush()
        if logged_steps(self.configuration, dispatch):
            self._pending = (dispatch, self._reports)

    def _flush(self) -> None:
        """Write the log records that wait, if any. Their dispatch has a successor in flight: the device stays busy.

        Raises:
            RunError: a step up to the last of them stopped the last member.
        """
        if self._pending is None:
            return
        dispatch, reports = self._pending
        self._pending = None
        values: Reports = self.layout.get(reports)
        self._look_for_bad_steps(np.asarray(values.bad_steps)[dispatch.count - 1])
        self._recent = [item for item in self._recent if item.step > dispatch.step]
        steps = logged_steps(self.configuration, dispatch)
        rows = [member_of(values, step - 1 - dispatch.step) for step in steps]
        graphs = sum(row.interval.losses.graphs for row in rows)
        seconds, host, busy = self.clock.report()
        losses = []
        for step, row in zip(steps, rows, strict=True):
            places = dispatch.cursors[step - 1 - dispatch.step]
            for k in range(len(graphs)):
                record = train_values(self.configuration, member_of(row, k))
                losses.append(record["loss"])
                self.log.write(
                    "train",
                    step,
                    **member_key(self.configuration, k),
                    epoch=self._epoch(places[k]),
                    **record,
                    structures_per_second=round(float(graphs[k]) / seconds, 2),
                    host_fraction=host,
                    processor_fraction=busy,
                    seconds=round(self.clock.elapsed(), 3),
                )
        running = [loss for loss in losses[-len(graphs) :] if np.isfinite(loss)]
        self.display.show(steps[-1], float(np.mean(running)) if running else np.nan, float(graphs.sum()) / seconds)

    def _ready(self) -> None:
        """Wait for the device, write what waits for the log, and look for steps that were not finite."""
        self._flush()
        self._look_for_bad_steps(self.layout.get(self.state.members.bad_steps))
        self._recent.clear()

    def _look_for_bad_steps(self, bad_steps: np.ndarray) -> None:
        """Note in the log which members skipped a step, and which stopped at a second one that was not finite.

        Args:
            bad_steps: int32 ``[n_members, 2]``, after a step at or after all that were looked at before.

        Raises:
            RunError: all members have stopped; the state before the step at which the last did, which is still that on
                the device, is saved with that member ready to go on.
        """
        frames: list[str] = []
        last = int(bad_steps[:, 1].max())
        for column, action in enumerate(("skipped", "stopped")):
            for k in np.flatnonzero(bad_steps[:, column] != self._noted[:, column]):
                step = int(bad_steps[k, column])
                of_batch = self._write_bad_step(int(k), step, action)
                if action == "stopped" and len(bad_steps) > 1:
                    self.display.say(farewell(self.configuration, int(k), step))
                if step == last:
                    frames = of_batch
        self._noted = bad_steps.copy()
        if not bad_steps[:, 1].all():
            return
        state = self.layout.get(self.state)
        ready = state.members.bad_steps.copy()
        ready[ready[:, 1] == last, 1] = 0
        state = state._replace(members=state.members._replace(bad_steps=ready))
        dispatch = self._dispatch_of(last)
        self.checkpoints.save(Checkpoint(state, dispatch.cursors[last - 1 - dispatch.step], self.best))
        raise RunError(refusal(last, frames))

    def _write_bad_step(self, member: int, step: int, action: str) -> list[str]:
        """A log record of a step that was not finite; the names of its frames."""
        dispatch = self._dispatch_of(step)
        row = step - 1 - dispatch.step
        frames = self.names(dispatch.frames[row][member])
        values: dict[str, Any] = {
            "epoch": self._epoch(dispatch.cursors[row][member]),
            "action": action,
            "frames": frames,
        }
        self.log.write("nonfinite", step, **member_key(self.configuration, member), **values)
        return frames

    def _epoch(self, place: Cursor) -> int:
        """The epoch that a batch belongs to, from 0."""
        return place.epoch // self.data.train.plans_per_epoch

    def _dispatch_of(self, step: int) -> Dispatch:
        """The recent dispatch that a step is in."""
        return next(dispatch for dispatch in self._recent if dispatch.step < step <= dispatch.step + dispatch.count)


def logged_steps(configuration: RunConfig, dispatch: Dispatch) -> list[int]:
    """Steps of a dispatch after which there is a record in the log."""
    steps, every = range(dispatch.step + 1, dispatch.step + dispatch.count + 1), configuration.watch.log_every
    return [step for step in steps if step % every == 0 or step == configuration.steps]


def frame_names(indices: np.ndarray, molecule: np.ndarray, names: list[str]) -> list[str]:
    """``"1234 (hexane)"`` for each of some frames of a data set: index and molecule.

    Args:
        indices: of the frames.
        molecule: of each frame of the data set, index into ``names``.
        names: of the molecules.
    """
    return [f"{int(i)} ({names[molecule[i]]})" for i in indices]
