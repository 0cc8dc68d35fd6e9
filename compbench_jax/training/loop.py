"""The training loop: steps without waiting for the device, and now and then a log line, a validation, a checkpoint."""

import contextlib
import time
from collections.abc import Generator
from typing import Any, cast

import jax
import numpy as np

from compbench_jax.batching.prefetch import prefetch
from compbench_jax.labelling.workers import default_workers
from compbench_jax.training import processes
from compbench_jax.training.bad_steps import look_for_bad_steps
from compbench_jax.training.batches import Chunk
from compbench_jax.training.checkpoint import Checkpoint, better
from compbench_jax.training.chunk import Reports
from compbench_jax.training.configuration import Configuration
from compbench_jax.training.interruption import Interruption
from compbench_jax.training.lines import member_key, train_values, validation_values
from compbench_jax.training.loop_parts import Parts, Progress
from compbench_jax.training.profile import Profiler
from compbench_jax.training.state import member_of
from compbench_jax.training.validation import errors_on


def train(parts: Parts, progress: Progress) -> int | None:
    """Take the steps that are left.

    Returns:
        None, or the signal that stopped the run early, with a checkpoint written.

    Raises:
        RunError: every member has met two steps that were not finite; the state before the last of these is saved.
        OSError: the disk is full.
    """
    configuration = parts.configuration
    chunks = parts.source.chunks(progress.step, progress.cursors)
    stream = cast(Generator[Chunk, None, None], prefetch(chunks))
    parts.display.start(progress.step, configuration.steps)
    profiler = Profiler(parts.profile, progress.pause)
    with contextlib.closing(stream), profiler, Interruption() as interruption:
        while progress.step < configuration.steps and not (progress.halted or stalled(configuration, progress)):
            due = time.monotonic() - progress.saved >= configuration.watch.checkpoint_seconds
            # All processes save and stop after the same step, whichever of them was told to.
            number, due_anywhere = processes.largest([interruption.signal or 0, int(due and processes.is_first())])
            if number or (due_anywhere and progress.recent):
                save(parts, progress)
            if number:
                return number
            with profiler.dispatch(progress.state, progress.step):
                take_chunk(parts, progress, next(stream))
            if progress.step == configuration.steps or progress.step % configuration.watch.validate_every == 0:
                validate(parts, progress)
                save(parts, progress)
    return None


def stalled(configuration: Configuration, progress: Progress) -> bool:
    """Whether no member has reached a lower validation loss for as many validations as patience lasts."""
    patience, every = configuration.watch.patience, configuration.watch.validate_every
    return bool(patience) and progress.step - int(progress.best.step.max()) >= patience * every


def take_chunk(parts: Parts, progress: Progress, chunk: Chunk) -> None:
    """Dispatch one chunk; nothing is fetched from the device but lines of the log of the chunk before."""
    begun = time.monotonic()
    before: Any = progress.reports
    if before is not None and before.bad_steps.is_ready():
        progress.idle += begun - progress.seen
    with jax.transfer_guard("disallow"):
        progress.state, progress.reports = parts.program(
            progress.state, parts.source.data, chunk.batches, chunk.length, shape=chunk.shape
        )
    progress.seen = time.monotonic()
    if not progress.compiled:
        progress.compiled = True
        progress.pause(begun)
    progress.step += chunk.count
    progress.cursors = chunk.after
    progress.recent.append(chunk)
    flush(parts, progress)
    if logged_steps(parts.configuration, chunk):
        progress.pending = (chunk, progress.reports)


def logged_steps(configuration: Configuration, chunk: Chunk) -> list[int]:
    """Steps of a chunk after which there is a line in the log."""
    steps, every = range(chunk.step + 1, chunk.step + chunk.count + 1), configuration.watch.log_every
    return [step for step in steps if step % every == 0 or step == configuration.steps]


def flush(parts: Parts, progress: Progress) -> None:
    """Write the lines of the log that wait, if any. Their chunk has a successor in flight, so the device stays busy.

    Raises:
        RunError: a step up to the last of them stopped the last member.
    """
    if progress.pending is None:
        return
    chunk, reports = progress.pending
    progress.pending = None
    values: Reports = parts.layout.get(reports)
    now = progress.seen = time.monotonic()
    look_for_bad_steps(parts, progress, np.asarray(values.bad_steps)[chunk.count - 1])
    progress.recent = [item for item in progress.recent if item.step > chunk.step]
    steps = logged_steps(parts.configuration, chunk)
    seconds = max(now - progress.reported - progress.paused, 1e-9)
    rows = [member_of(values, step - 1 - chunk.step) for step in steps]
    graphs = sum(row.interval.losses.graphs for row in rows)
    host = round(min(progress.idle / seconds, 1.0), 4)
    busy = processor_fraction(progress, now)
    progress.reported, progress.paused, progress.idle = now, 0.0, 0.0
    losses = []
    for step, row in zip(steps, rows, strict=True):
        places = chunk.cursors[step - 1 - chunk.step]
        for k in range(len(graphs)):
            line = train_values(parts.configuration, member_of(row, k))
            losses.append(line["loss"])
            parts.log.write(
                "train",
                step,
                **member_key(parts.configuration, k),
                epoch=places[k].epoch,
                **line,
                structures_per_second=round(float(graphs[k]) / seconds, 2),
                host_fraction=host,
                processor_fraction=busy,
                seconds=round(progress.elapsed(), 3),
            )
    running = [loss for loss in losses[-len(graphs) :] if np.isfinite(loss)]
    parts.display.show(steps[-1], float(np.mean(running)) if running else np.nan, float(graphs.sum()) / seconds)


def processor_fraction(progress: Progress, now: float) -> float:
    """Share of the cores that this process may use which it had since the last report, pauses included."""
    before, progress.processor = progress.processor, time.process_time()
    fraction = (progress.processor - before) / max(now - progress.reported, 1e-9) / default_workers()
    return round(min(fraction, 1.0), 4)


def validate(parts: Parts, progress: Progress) -> None:
    """Errors of the moving averages on validation frames and monitors; those that are a member's best are kept."""
    ready(parts, progress)
    begun = time.monotonic()
    averages, configuration, layout = progress.state.members.ema, parts.configuration, parts.layout
    n_members = len(configuration.members())
    errors = errors_on(parts.evaluator, averages, parts.data.validation, n_members, layout)
    losses = [item.loss(configuration.loss) for item in errors]
    wins = np.asarray(losses) < progress.best.loss
    if wins.any():
        # A copy: the next step reuses the buffers of the state.
        host = jax.tree.map(lambda x: np.array(x, copy=True), layout.get(averages))
        progress.best = better(progress.best, progress.step, losses, host)
    monitors = {
        name: errors_on(parts.evaluator, averages, dataset, n_members, layout)
        for name, dataset in parts.data.monitors.items()
    }
    for k in range(n_members):
        values = validation_values(errors[k], losses[k], bool(wins[k]), {name: m[k] for name, m in monitors.items()})
        seconds = round(progress.elapsed(), 3)
        parts.log.write("validation", progress.step, **member_key(configuration, k), **values, seconds=seconds)
    parts.display.validated(float(np.mean([item.force_mae for item in errors])))
    if parts.watcher is not None:
        progress.halted = parts.watcher(progress.step, errors)
    progress.pause(begun)


def save(parts: Parts, progress: Progress) -> None:
    """Write a checkpoint of the present state, all lines of the log up to it first."""
    ready(parts, progress)
    begun = time.monotonic()
    parts.checkpoints.save(Checkpoint(parts.layout.get(progress.state), progress.cursors, progress.best))
    progress.saved = time.monotonic()
    progress.pause(begun)


def ready(parts: Parts, progress: Progress) -> None:
    """Wait for the device, write what waits for the log, and look for steps that were not finite."""
    flush(parts, progress)
    look_for_bad_steps(parts, progress, parts.layout.get(progress.state.members.bad_steps))
    progress.recent.clear()
