"""The training loop: steps without waiting for the device, and now and then a log line, a validation, a checkpoint."""

import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.batching.prefetch import prefetch
from compbench_jax.errors import RunError
from compbench_jax.training.checkpoint import Best, Checkpoint, Checkpoints
from compbench_jax.training.configuration import Configuration
from compbench_jax.training.data import Batch, RunData, training_batches
from compbench_jax.training.interruption import Interruption
from compbench_jax.training.log import RunLog
from compbench_jax.training.optimiser import learning_rate_schedule
from compbench_jax.training.progress import Display
from compbench_jax.training.state import Cursor, Interval, TrainState
from compbench_jax.training.step import TrainStep
from compbench_jax.training.validation import Evaluator, errors_on


@dataclass(frozen=True, eq=False)
class Parts:
    """What the loop works with and does not change.

    Attributes:
        configuration: of the run.
        data: its frames.
        names: of each training frame, for messages (see :func:`frame_names`).
        train_step, evaluator: the compiled functions.
        checkpoints, log, display: where results go.
    """

    configuration: Configuration
    data: RunData
    names: list[str]
    train_step: TrainStep
    evaluator: Evaluator
    checkpoints: Checkpoints
    log: RunLog
    display: Display


@dataclass(eq=False)
class Progress:
    """What the loop changes.

    Attributes:
        state: on the device.
        step: steps dispatched, known without asking the device.
        cursor: the next batch.
        best: best parameters so far.
        seconds: of training, by the log, in earlier stretches of the run.
        pending: line of the log that waits for its numbers: step, epoch, sums, non-finite step.
        recent: batches since the last look at the device, by step.
        compiled: whether the first step, whose dispatch compiles it, has been dispatched.
        started, reported, paused, saved: clock readings: start; last report; seconds since then that were not steps;
            last checkpoint.
    """

    state: TrainState
    step: int
    cursor: Cursor
    best: Best
    seconds: float
    pending: tuple[int, int, Interval, jax.Array] | None = None
    recent: dict[int, Batch] = field(default_factory=dict)
    compiled: bool = False
    started: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)
    paused: float = 0.0
    saved: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds of training in all stretches of the run."""
        return self.seconds + time.monotonic() - self.started


def train(parts: Parts, progress: Progress) -> int | None:
    """Take the steps that are left.

    Returns:
        None, or the signal that stopped the run early, with a checkpoint written.

    Raises:
        RunError: a loss or gradient is not finite; the state before that step is saved.
        OSError: the disk is full.
    """
    configuration = parts.configuration
    batches = training_batches(parts.data.train, configuration.seed, progress.cursor)
    stream = cast(Generator[Batch, None, None], prefetch(batches))
    parts.display.start(progress.step, configuration.steps)
    with contextlib.closing(stream), Interruption() as interruption:
        while progress.step < configuration.steps and interruption.signal is None:
            take_step(parts, progress, next(stream))
            settle(parts, progress)
        if interruption.signal is not None:
            save(parts, progress)
    return interruption.signal


def take_step(parts: Parts, progress: Progress, batch: Batch) -> None:
    """Dispatch one step; nothing is fetched from the device but an earlier step's line of the log."""
    begun = time.monotonic()
    with jax.transfer_guard("disallow"):
        progress.state, (interval, bad_step) = parts.train_step(progress.state, batch.graph)
    if not progress.compiled:
        progress.compiled = True
        progress.paused += time.monotonic() - begun
    progress.step += 1
    progress.recent[progress.step] = batch
    progress.cursor = Cursor(batch.cursor.epoch, batch.cursor.position + 1)
    flush(parts, progress)
    if progress.step % parts.configuration.watch.log_every == 0 or progress.step == parts.configuration.steps:
        progress.pending = (progress.step, batch.cursor.epoch, interval, bad_step)


def settle(parts: Parts, progress: Progress) -> None:
    """Validate and save where it is time to."""
    watch, last = parts.configuration.watch, progress.step == parts.configuration.steps
    if last or progress.step % watch.validate_every == 0:
        validate(parts, progress)
        save(parts, progress)
    elif time.monotonic() - progress.saved >= watch.checkpoint_seconds:
        save(parts, progress)


def flush(parts: Parts, progress: Progress) -> None:
    """Write the line of the log that waits, if any. Its step has a successor in flight, so the device stays busy.

    Raises:
        RunError: a step up to that one was not finite.
    """
    if progress.pending is None:
        return
    step, epoch, interval, bad_step = progress.pending
    progress.pending = None
    values: Interval = jax.device_get(interval)
    if int(jax.device_get(bad_step)):
        refuse_nonfinite(parts, progress, int(jax.device_get(bad_step)))
    progress.recent = {number: batch for number, batch in progress.recent.items() if number > step}
    now = time.monotonic()
    rate = float(values.losses.graphs) / max(now - progress.reported - progress.paused, 1e-9)
    progress.reported, progress.paused = now, 0.0
    line = log_values(parts.configuration, step, values)
    parts.log.write(
        "train", step, epoch=epoch, **line, structures_per_second=round(rate, 2), seconds=round(progress.elapsed(), 3)
    )
    parts.display.show(step, line["loss"], rate)


def log_values(configuration: Configuration, step: int, interval: Interval) -> dict[str, float]:
    """Means over the steps of an interval: of the losses over frames and atoms, of the gradient norm over steps."""
    losses = interval.losses
    energy, force = float(losses.energy) / float(losses.graphs), float(losses.force) / float(losses.atoms)
    schedule = learning_rate_schedule(configuration.optimiser, configuration.steps)
    return {
        "loss": configuration.loss.energy_weight * energy + configuration.loss.force_weight * force,
        "energy_mae": energy,
        "force_l2_mae": force,
        "learning_rate": float(schedule(np.int32(step - 1))),
        "gradient_norm": float(interval.gradient_norm) / float(interval.steps),
    }


def validate(parts: Parts, progress: Progress) -> None:
    """Errors of the moving average on validation frames and monitors; the parameters are kept if they are the best."""
    ready(parts, progress)
    begun = time.monotonic()
    average, settings = progress.state.ema, parts.configuration.loss
    errors = errors_on(parts.evaluator, average, parts.data.validation)
    loss = errors.loss(settings)
    better = loss < progress.best.loss
    if better:
        # A copy: the next step reuses the buffers of the state.
        params = jax.tree.map(lambda x: np.array(x, copy=True), jax.device_get(average))
        progress.best = Best(progress.step, loss, params)
    values: dict[str, Any] = {
        "validation_loss": loss,
        "validation_energy_mae": errors.energy_mae,
        "validation_force_l2_mae": errors.force_l2_mae,
        "validation_force_mae": errors.force_mae,
        "best": better,
    }
    for name, dataset in parts.data.monitors.items():
        values[f"monitor_{name}_force_mae"] = errors_on(parts.evaluator, average, dataset).force_mae
    parts.log.write("validation", progress.step, **values, seconds=round(progress.elapsed(), 3))
    parts.display.validated(errors.force_mae)
    progress.paused += time.monotonic() - begun


def save(parts: Parts, progress: Progress) -> None:
    """Write a checkpoint of the present state, all lines of the log up to it first."""
    ready(parts, progress)
    begun = time.monotonic()
    parts.checkpoints.save(Checkpoint(progress.state, progress.cursor, progress.best))
    progress.saved = time.monotonic()
    progress.paused += progress.saved - begun


def ready(parts: Parts, progress: Progress) -> None:
    """Wait for the device, write what waits for the log, and make sure that every step so far was finite."""
    flush(parts, progress)
    bad_step = int(jax.device_get(progress.state.bad_step))
    if bad_step:
        refuse_nonfinite(parts, progress, bad_step)
    progress.recent.clear()


def refuse_nonfinite(parts: Parts, progress: Progress, bad_step: int) -> None:
    """Save the state before the step, which the state on the device still is, and say which frames made it.

    Raises:
        RunError: always.
    """
    batch = progress.recent[bad_step]
    state = progress.state._replace(bad_step=jnp.zeros((), jnp.int32))
    parts.checkpoints.save(Checkpoint(state, batch.cursor, progress.best))
    frames = [parts.names[i] for i in batch.frames]
    parts.log.write("nonfinite", bad_step, epoch=batch.cursor.epoch, frames=frames)
    shown = ", ".join(frames[:10]) + (f" and {len(frames) - 10} more (see log.jsonl)" if len(frames) > 10 else "")
    raise RunError(
        f"the loss or its gradient is not finite at step {bad_step}, in the batch of frames {shown}; the state before "
        "it is saved: check these frames with `compbench verify`, or train in a new folder with a lower "
        "--optimiser.learning-rate"
    )


def frame_names(indices: np.ndarray, molecule: np.ndarray, names: list[str]) -> list[str]:
    """``"1234 (hexane)"`` for each of some frames of a store: index and molecule.

    Args:
        indices: of the frames.
        molecule: of each frame of the store, index into ``names``.
        names: of the molecules.
    """
    return [f"{int(i)} ({names[molecule[i]]})" for i in indices]
