"""Checkpoints: what a run needs to go on exactly, and the best parameters so far, written together by orbax.

A checkpoint is one folder ``RUN/checkpoints/STEP`` with two items: ``parameters``, the moving averages to evaluate (the
best one and the latest one), and ``state``, the rest of what a run needs to go on. Orbax writes both under a temporary
name and renames the folder when it is whole: they always fit each other, and a kill leaves the checkpoint before it.
Arrays only, nothing is pickled. A third item, ``checksums``, has the SHA-256 of each of the two, which is compared
whenever one is read: a damaged checkpoint is named on stderr, and the one before it is used.
"""

import hashlib
import logging
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from absl import logging as absl_logging

from compbench_jax.errors import RunError
from compbench_jax.models.potential import Params
from compbench_jax.training import processes
from compbench_jax.training.disk import disk_errors, refuse_full_disk
from compbench_jax.training.flattened import OTHER_POTENTIAL, pack, unpack
from compbench_jax.training.state import Cursor, TrainState, initial_state, member_of

FOLDER = "checkpoints"
KEPT = 2
"""Checkpoints kept: the last, and the one before it in case the last turns out to be damaged."""

CHECKSUMS = "checksums"
"""Item with the checksum of each other item; checkpoints of older versions lack it."""


@dataclass(frozen=True)
class Best:
    """Best parameters of each member so far.

    Attributes:
        step: after which step, int64 ``[n_members]``; 0 before the first validation.
        loss: validation loss, float64 ``[n_members]``; infinity before the first validation.
        params: the moving averages of the parameters at these steps, NumPy, with a leading axis of members; None
            before the first validation.
    """

    step: np.ndarray
    loss: np.ndarray
    params: Params | None


def no_best(n_members: int) -> Best:
    """Before the first validation."""
    return Best(np.zeros(n_members, np.int64), np.full(n_members, np.inf), None)


def better(best: Best, step: int, losses: Sequence[float], averages: Params) -> Best:
    """The best parameters after a validation of these averages (NumPy, with a leading axis of members)."""
    wins = np.asarray(losses) < best.loss
    old = averages if best.params is None else best.params

    def choose(new: np.ndarray, kept: np.ndarray) -> np.ndarray:
        return np.where(wins.reshape(-1, *[1] * (new.ndim - 1)), new, kept)

    params = jax.tree.map(choose, averages, old)
    return Best(np.where(wins, step, best.step), np.where(wins, losses, best.loss), params)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a resumed run starts from; the cursors are those of the members."""

    state: TrainState
    cursors: tuple[Cursor, ...]
    best: Best


class Checkpoints:
    """The checkpoints of one run folder.

    Args:
        run: the run folder.
        read_only: change nothing, since a training run may be writing there.

    Attributes:
        damaged: steps of checkpoints later than the one that was read, which are damaged.
    """

    def __init__(self, run: Path, *, read_only: bool = False):
        # Orbax tells at length how each save went, and prints what goes wrong as well as raising it; so does asyncio
        # for the other arrays of a damaged checkpoint.
        absl_logging.set_verbosity(absl_logging.FATAL)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        self.folder = (run / FOLDER).absolute()
        self.damaged: tuple[int, ...] = ()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT,
            create=not read_only,
            read_only=read_only,
            cleanup_tmp_directories=not read_only,
            enable_async_checkpointing=False,
        )
        self.manager = ocp.CheckpointManager(self.folder, options=options)

    def steps(self) -> list[int]:
        """Steps that there are checkpoints of, the latest first."""
        return sorted(self.manager.all_steps(), reverse=True)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove those beyond ``KEPT``. One of the same step is the same: it is left alone.

        Raises:
            OSError: with errno ENOSPC if the disk is full; the checkpoints before are untouched.
        """
        state, best = checkpoint.state, checkpoint.best
        step = int(state.step)
        if step in self.manager.all_steps():
            return
        cursors = np.array(checkpoint.cursors, np.int64)
        latest = jax.device_get(state.members.ema)
        parameters = {
            "step": np.int64(step),
            "latest": latest,
            "best": latest if best.params is None else best.params,
            "best_step": np.asarray(best.step, np.int64),
            "best_loss": np.asarray(best.loss, np.float64),
            "stopped": np.asarray(state.members.bad_steps, np.int64)[:, 1],
        }
        rest = {"cursors": cursors, **pack(without_average(state))}
        refuse_full_disk(self.folder, sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves((parameters, rest))))
        with disk_errors(self.folder):
            self.manager.save(
                step,
                args=ocp.args.Composite(
                    parameters=ocp.args.StandardSave(parameters),
                    state=ocp.args.StandardSave(rest),
                    checksums=ocp.args.JsonSave({"parameters": checksum(parameters), "state": checksum(rest)}),
                ),
            )

    def restore(self, template: TrainState) -> Checkpoint | None:
        """The latest checkpoint that is whole, or None if there is none at all.

        Damaged ones after it are named on stderr and removed.

        Args:
            template: shapes and dtypes of the state.

        Raises:
            RunError: there are checkpoints, and none can be read.
        """
        if not self.steps():
            return None
        _, read = self.read_latest("parameters", "state")
        if "cursors" not in read["state"]:
            raise RunError(OTHER_POTENTIAL)
        cursors = tuple(Cursor(int(epoch), int(position)) for epoch, position in read["state"].pop("cursors"))
        state = unpack(read["state"], without_average(template))
        parameters = read["parameters"]
        if not _same_structure(parameters["latest"], template.members.ema):
            raise RunError(OTHER_POTENTIAL)
        best = no_best(len(cursors))
        if parameters["best_step"].any():
            best = Best(parameters["best_step"], parameters["best_loss"], parameters["best"])
        for damaged in self.damaged:
            if processes.is_first():
                shutil.rmtree(self.folder / str(damaged), ignore_errors=True)
        processes.wait_for_all("damaged checkpoints are gone")
        self.manager.reload()
        members = state.members._replace(ema=parameters["latest"])
        return Checkpoint(state._replace(members=members), cursors, best)

    def parameters(self, which: str) -> list[tuple[int, float, int, Params]]:
        """Step of the parameters, lowest validation loss so far, step that stopped it (0: none), and parameters of each
        member.

        Args:
            which: ``"best"`` or ``"latest"``; the latest serve as best before the first validation, when the loss is
                infinite.

        Raises:
            RunError: no checkpoint can be read.
        """
        step, read = self.read_latest("parameters")
        parameters = read["parameters"]
        if np.ndim(parameters["best_step"]) == 0:  # written before runs had members
            parameters |= {name: jax.tree.map(lambda x: x[None], parameters[name]) for name in ("latest", "best")}
            parameters |= {name: np.asarray(parameters[name])[None] for name in ("best_step", "best_loss")}
        found = []
        for k, best_step in enumerate(parameters["best_step"].tolist()):
            latest = which == "latest" or not best_step
            params = member_of(parameters["latest" if latest else "best"], k)
            stopped = int(parameters["stopped"][k]) if "stopped" in parameters else 0  # absent from older checkpoints
            found.append((step if latest else best_step, float(parameters["best_loss"][k]), stopped, params))
        return found

    def read_latest(self, *items: str) -> tuple[int, dict[str, Any]]:
        """Step and these items of the latest checkpoint in which they are whole; damaged ones are named on stderr."""
        failures: dict[int, str] = {}
        for step in self.steps():
            with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of what orbax leaves unfinished
                try:
                    read = self._read(step, items)
                except Exception as error:  # orbax and tensorstore raise whatever they like for a damaged folder
                    failures[step] = one_line(error)
                    continue
            self.damaged = tuple(failures)
            for damaged, reason in failures.items() if processes.is_first() else ():
                print(
                    f"warning: the checkpoint {self.folder / str(damaged)} is damaged ({reason}): that of step {step} "
                    "is used in its place",
                    file=sys.stderr,
                )
            return step, read
        failure = next((f"that of step {step}: {reason}" for step, reason in failures.items()), "there is none")
        raise RunError(
            f"{self.folder} has no checkpoint that can be read ({failure}): restore one, or train in a new folder"
        )

    def _read(self, step: int, items: Sequence[str]) -> dict[str, Any]:
        """These items of one checkpoint.

        Raises:
            Exception: of any kind, if they are damaged.
        """
        wanted: dict[str, Any] = {item: ocp.args.StandardRestore() for item in items}
        if checked := (self.folder / str(step) / CHECKSUMS).exists():
            wanted[CHECKSUMS] = ocp.args.JsonRestore()
        read = self.manager.restore(step, args=ocp.args.Composite(**wanted))
        for item in items if checked else ():
            if read[CHECKSUMS][item] != checksum(read[item]):
                raise ValueError(f"{item} are not those that were written")
        if int(read["parameters"]["step"]) != step:
            raise ValueError(f"it is that of step {int(read['parameters']['step'])}")
        return {item: read[item] for item in items}


def checksum(tree: Any) -> str:
    """SHA-256 of a tree of arrays: their paths, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def save_params(run: Path, params: Params) -> None:
    """Write a checkpoint of step 0 with these parameters."""
    with jax.enable_x64(True):  # keeps double precision where the original has it
        state = initial_state([jax.device_put(params)], optax.identity())
        Checkpoints(run).save(Checkpoint(state, (Cursor(0, 0),), no_best(1)))


def without_average(state: TrainState) -> TrainState:
    """The state but for the moving averages, which are stored as parameters."""
    return state._replace(members=state.members._replace(ema=()))


def _same_structure(a: Any, b: Any) -> bool:
    """Whether two trees have the same keys and shapes."""
    shapes = [[(path, np.shape(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)] for tree in (a, b)]
    return shapes[0] == shapes[1]


def one_line(error: Exception) -> str:
    """The start of an error's text, on one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
