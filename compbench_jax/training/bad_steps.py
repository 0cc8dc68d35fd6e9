"""Steps whose loss or gradient was not finite: what is told of them, and when a run stops."""

from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.training.batches import Chunk
from compbench_jax.training.checkpoint import Checkpoint
from compbench_jax.training.lines import farewell, member_key, refusal
from compbench_jax.training.loop_parts import Parts, Progress


def look_for_bad_steps(parts: Parts, progress: Progress, bad_steps: np.ndarray) -> None:
    """Note in the log which members skipped a step, and which stopped at a second one that was not finite.

    Args:
        parts: of the loop.
        progress: of the run.
        bad_steps: int32 ``[n_members, 2]``, after a step at or after all that were looked at before.

    Raises:
        RunError: all members have stopped; the state before the step at which the last did, which is still that on the
            device, is saved with that member ready to go on.
    """
    frames: list[str] = []
    last = int(bad_steps[:, 1].max())
    for column, action in enumerate(("skipped", "stopped")):
        for k in np.flatnonzero(bad_steps[:, column] != progress.noted[:, column]):
            step = int(bad_steps[k, column])
            of_batch = write_bad_step(parts, progress, int(k), step, action)
            if action == "stopped" and len(bad_steps) > 1:
                parts.display.say(farewell(parts.configuration, int(k), step))
            if step == last:
                frames = of_batch
    progress.noted = bad_steps.copy()
    if not bad_steps[:, 1].all():
        return
    state = parts.layout.get(progress.state)
    mended = state.members.bad_steps.copy()
    mended[mended[:, 1] == last, 1] = 0
    state = state._replace(members=state.members._replace(bad_steps=mended))
    chunk = chunk_of(progress, last)
    parts.checkpoints.save(Checkpoint(state, chunk.cursors[last - 1 - chunk.step], progress.best))
    raise RunError(refusal(last, frames))


def write_bad_step(parts: Parts, progress: Progress, member: int, step: int, action: str) -> list[str]:
    """A line of the log about a step that was not finite; the names of its frames."""
    chunk = chunk_of(progress, step)
    row = step - 1 - chunk.step
    frames = [parts.names[i] for i in chunk.frames[row][member]]
    values: dict[str, Any] = {"epoch": chunk.cursors[row][member].epoch, "action": action, "frames": frames}
    parts.log.write("nonfinite", step, **member_key(parts.configuration, member), **values)
    return frames


def chunk_of(progress: Progress, step: int) -> Chunk:
    """The recent chunk that a step is in."""
    return next(chunk for chunk in progress.recent if chunk.step < step <= chunk.step + chunk.count)


def frame_names(indices: np.ndarray, molecule: np.ndarray, names: list[str]) -> list[str]:
    """``"1234 (hexane)"`` for each of some frames of a store: index and molecule.

    Args:
        indices: of the frames.
        molecule: of each frame of the store, index into ``names``.
        names: of the molecules.
    """
    return [f"{int(i)} ({names[molecule[i]]})" for i in indices]
