"""Checkpoints: what a run needs to go on exactly, and the best parameters so far, written together by orbax.

A checkpoint is one folder ``RUN/checkpoints/STEP`` with two items: ``parameters``, the moving averages to evaluate (the
best one and the latest one), and ``state``, the rest of what a run needs to go on. Orbax writes both under a temporary
name and renames the folder when it is whole: they always fit each other, and a kill leaves the checkpoint before it.
Arrays only, nothing is pickled.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging as absl_logging

from compbench_jax.errors import RunError
from compbench_jax.models.potential import Params, Potential
from compbench_jax.models.precision import cast_params, prepare_precision
from compbench_jax.training import configuration, potential_file
from compbench_jax.training.state import Cursor, TrainState

FOLDER = "checkpoints"
KEPT = 2
"""Checkpoints kept: the last, and the one before it in case the last turns out to be damaged."""

ITEMS = ("parameters", "state")

OVERHEAD = 256 * 1024
"""Bytes of metadata and half-filled blocks that a checkpoint takes beside its arrays, generously."""

OTHER_POTENTIAL = (
    "the checkpoint is not that of this potential and optimiser: "
    "resume with the version that wrote it, or train in a new folder"
)


@dataclass(frozen=True)
class Best:
    """Best parameters so far.

    Attributes:
        step: after which step; 0 before the first validation.
        loss: validation loss; infinity before the first validation.
        params: the moving average of the parameters at that step, NumPy; None before the first validation.
    """

    step: int
    loss: float
    params: Params | None


NO_BEST = Best(0, float("inf"), None)


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a resumed run starts from."""

    state: TrainState
    cursor: Cursor
    best: Best


@dataclass(frozen=True)
class LoadedRun:
    """A trained potential.

    Attributes:
        config: contents of the run's ``config.json``.
        potential: the potential with its normalisation.
        params: its parameters, NumPy.
        step: after which step.
    """

    config: dict[str, Any]
    potential: Potential
    params: Params
    step: int


class Checkpoints:
    """The checkpoints of one run folder.

    Args:
        run: the run folder.
        read_only: change nothing, since a training run may be writing there.
    """

    def __init__(self, run: Path, *, read_only: bool = False):
        # Orbax tells at length how each save went, and prints what goes wrong as well as raising it.
        absl_logging.set_verbosity(absl_logging.FATAL)
        self.folder = (run / FOLDER).absolute()
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
        cursor = np.array([checkpoint.cursor.epoch, checkpoint.cursor.position], np.int64)
        latest = jax.device_get(state.ema)
        parameters = {
            "step": np.int64(step),
            "latest": latest,
            "best": latest if best.params is None else best.params,
            "best_step": np.int64(best.step),
            "best_loss": np.float64(best.loss),
        }
        rest = {"cursor": cursor, **pack(state._replace(ema=()))}
        refuse_full_disk(self.folder, sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves((parameters, rest))))
        with disk_errors(self.folder):
            self.manager.save(
                step,
                args=ocp.args.Composite(
                    parameters=ocp.args.StandardSave(parameters), state=ocp.args.StandardSave(rest)
                ),
            )

    def restore(self, template: TrainState) -> Checkpoint | None:
        """The latest checkpoint that is whole, or None if there is none at all; damaged ones after it are removed.

        Args:
            template: shapes and dtypes of the state.

        Raises:
            RunError: there are checkpoints, and none can be read.
        """
        if not self.steps():
            return None
        step, read = self._read_latest()
        epoch, position = (int(x) for x in read["state"].pop("cursor"))
        state = unpack(read["state"], template._replace(ema=()))
        parameters = read["parameters"]
        if not _same_structure(parameters["latest"], template.ema):
            raise RunError(OTHER_POTENTIAL)
        best = NO_BEST
        if int(parameters["best_step"]):
            best = Best(int(parameters["best_step"]), float(parameters["best_loss"]), parameters["best"])
        for damaged in self.steps()[: self.steps().index(step)]:
            shutil.rmtree(self.folder / str(damaged), ignore_errors=True)
        self.manager.reload()
        return Checkpoint(state._replace(ema=parameters["latest"]), Cursor(epoch, position), best)

    def parameters(self, which: str) -> tuple[int, Params]:
        """Step and parameters, ``"best"`` or ``"latest"``; the latest serve as best before the first validation.

        Raises:
            RunError: no checkpoint can be read.
        """
        step, read = self._read_latest()
        parameters = read["parameters"]
        best_step = int(parameters["best_step"])
        return (best_step if which == "best" and best_step else step), parameters[which]

    def _read_latest(self) -> tuple[int, dict[str, Any]]:
        """Step and items of the latest checkpoint that can be read as a whole."""
        failure = "there is none"
        for step in self.steps():
            try:
                read = self.manager.restore(
                    step, args=ocp.args.Composite(**{item: ocp.args.StandardRestore() for item in ITEMS})
                )
                if int(read["parameters"]["step"]) != step:
                    raise ValueError(f"it is that of step {int(read['parameters']['step'])}")
                return step, {item: read[item] for item in ITEMS}
            except Exception as error:  # orbax and tensorstore raise whatever they like for a damaged folder
                failure = failure if step != self.steps()[0] else f"that of step {step}: {one_line(error)}"
        raise RunError(f"{self.folder} has no checkpoint that can be read ({failure}): train in a new folder")


def load_run(run: str | Path, which: str = "best") -> LoadedRun:
    """The potential that a run trained.

    Args:
        run: folder of the run.
        which: ``"best"``, the moving average of the parameters at the validation with the lowest loss, or
            ``"latest"``, that of the last checkpoint.

    Raises:
        RunError: no such run, or one without a checkpoint that can be read.
    """
    run = Path(run)
    if which not in ("best", "latest"):
        raise RunError(f"no parameters are called {which!r}: choose best or latest")
    if not run.is_dir():
        raise RunError(f"there is no run at {run}: train one with `python train.py --out {run} …`")
    if not (run / configuration.FILE).is_file():
        raise RunError(
            f"{run} is not a run folder, it has no {configuration.FILE}: train with `python train.py --out {run} …`"
        )
    config = configuration.to_json(configuration.read(run / configuration.FILE))
    checkpoints = Checkpoints(run, read_only=True) if (run / FOLDER).is_dir() else None
    if checkpoints is None or not checkpoints.steps():
        raise RunError(f"{run} has no checkpoint: train it first with `python train.py --out {run} …`")
    step, params = checkpoints.parameters(which)
    potential = replace(potential_file.read(run), precision=config["precision"])
    return LoadedRun(config, potential, params, step)


def with_precision(run: LoadedRun, precision: str | None = None) -> LoadedRun:
    """The same trained potential with JAX prepared for its precision, or for another one if that is given.

    Raises:
        RunError: no such precision.
    """
    precision = precision or run.potential.precision
    prepare_precision(precision)
    potential = replace(run.potential, precision=precision)
    return replace(run, potential=potential, params=cast_params(run.params, precision))


def pack(tree: Any) -> dict[str, np.ndarray]:
    """All leaves of a tree as one vector a dtype: orbax writes few long arrays much faster than many short ones."""
    vectors: dict[str, list[np.ndarray]] = {}
    for leaf in jax.tree.leaves(jax.device_get(tree)):
        vectors.setdefault(str(leaf.dtype), []).append(np.ravel(leaf))
    return {dtype: np.concatenate(parts) for dtype, parts in vectors.items()}


def unpack(vectors: dict[str, np.ndarray], template: Any) -> Any:
    """Inverse of :func:`pack` for a tree of these shapes and dtypes.

    Raises:
        RunError: the vectors are not of such a tree.
    """
    leaves, structure = jax.tree.flatten(template)
    expected: dict[str, int] = {}
    for leaf in leaves:
        expected[str(leaf.dtype)] = expected.get(str(leaf.dtype), 0) + int(np.prod(leaf.shape))
    if expected != {dtype: len(vector) for dtype, vector in vectors.items()}:
        raise RunError(OTHER_POTENTIAL)
    start = dict.fromkeys(expected, 0)
    read = []
    for leaf in leaves:
        dtype, size = str(leaf.dtype), int(np.prod(leaf.shape))
        read.append(vectors[dtype][start[dtype] : start[dtype] + size].reshape(leaf.shape))
        start[dtype] += size
    return jax.tree.unflatten(structure, read)


def _same_structure(a: Any, b: Any) -> bool:
    """Whether two trees have the same keys and shapes."""
    shapes = [[(path, np.shape(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)] for tree in (a, b)]
    return shapes[0] == shapes[1]


def one_line(error: Exception) -> str:
    """The start of an error's text, on one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def refuse_full_disk(folder: Path, size: int) -> None:
    """Raise ``OSError`` (ENOSPC) where there is no room for a checkpoint of ``size`` bytes and what orbax adds to it.

    Tensorstore notices a full disk too, but prints a page of its own on the way (see :func:`disk_errors`).
    """
    if shutil.disk_usage(folder).free < size + size // 8 + OVERHEAD:
        raise OSError(errno.ENOSPC, "no space left on device", str(folder))


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what tensorstore raises on a full disk into an ``OSError`` (ENOSPC), and remove what is half written."""
    try:
        yield
    except Exception as error:
        for rest in folder.glob("*.orbax-checkpoint-tmp"):
            shutil.rmtree(rest, ignore_errors=True)
        text = str(error)
        if "No space left" in text or "os_error_code='28'" in text or getattr(error, "errno", None) == errno.ENOSPC:
            raise OSError(errno.ENOSPC, "no space left on device", str(folder)) from error
        raise
