"""The folder of a run: who may write there, and whether it belongs to this configuration."""

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.files import read_bytes, write_atomically
from compbench_jax.splits.own import FILE as OWN_SPLIT_FILE
from compbench_jax.splits.own import write_own_split
from compbench_jax.splits.roles import is_own_task
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training import configuration as config_file
from compbench_jax.training.configuration import RunConfig

SPLIT_FILE = "split.json"
AUDIT_FILE = "audit.json"
LOCK_FILE = ".lock"


def default_folder(task: str, model: str, seed: int, prior: str = "none") -> Path:
    """``runs/TASK-MODEL-seedK``, with nothing in the name that a shell would have to be told about; of a potential with
    a prior ``runs/TASK-MODEL+PRIOR-seedK``.
    """
    plain = re.sub(r"[^\w.=]+", "-", task).strip("-")
    return Path("runs") / f"{plain}-{name_with_prior(model, prior)}-seed{seed}"


def name_with_prior(model: str, prior: str) -> str:
    """``MODEL+PRIOR``, a model in names of folders; without a prior ``MODEL``."""
    return model if prior == "none" else f"{model}+{prior}"


def control_folder(run: Path, kind: str) -> Path:
    """Folder of a control of this run, next to it: ``RUN-control_random``, ``RUN-oracle``."""
    return run.with_name(f"{run.resolve().name}-{kind}")


@contextlib.contextmanager
def locked(run: Path, doing: str = "training") -> Iterator[None]:
    """Hold the run folder, made if need be: two trainings that write to one folder would ruin it.

    The lock is the kernel's and goes with the process, however that ends. File systems without locks go unguarded.

    Raises:
        RunError: another process trains there, or the folder cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        # Not blocking: a pipe in its place would be waited for.
        handle = os.fdopen(os.open(run / LOCK_FILE, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666), "w")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RunError(f"cannot write to the run folder {run} ({error.strerror}): give another --out") from error
    with handle:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another process is {doing} in {run}: wait for it, or give another --out") from error
        except (ImportError, OSError):
            pass
        yield


def claim(run: Path, configuration: RunConfig, resume: bool) -> bool:
    """Write ``RUN/config.json``, or make sure that the one there is of the same run.

    Returns:
        whether the folder held this run already.

    Raises:
        RunError: it holds a run of another configuration, or (without ``resume``) any run.
    """
    path = run / config_file.FILE
    found = path.exists()
    if found and not resume:
        raise RunError(f"{run} already holds a run, and --no-resume was given: give another --out or remove the folder")
    if found:
        differs = config_file.difference(config_file.read(path), configuration)
        if differs is not None:
            key, old, new = differs
            raise RunError(
                f"{run} holds a run with {key} = {old!r}, this one has {key} = {new!r}: "
                "give another --out, or the same settings to resume"
            )
    config_file.write(path, configuration)
    return found


def write_split(run: Path, store: FrameStore, split: Split) -> None:
    """Write ``RUN/split.json``: the sets by molecules and frames, and checksums of the frame indices.

    Raises:
        RunError: the file is there and says otherwise, so that the run was started on other frames.
    """
    path = run / SPLIT_FILE
    content = (json.dumps(split_summary(store, split), indent=1, ensure_ascii=False) + "\n").encode()
    if path.exists() and read_bytes(path) != content:
        raise RunError(
            f"{path} names other frames than the task {split.task} now yields: resume with the version that "
            "started the run, or give another --out"
        )
    write_atomically(path, content)
    if is_own_task(split.task):
        name = re.sub(r"\W+", "-", split.task).strip("-")
        write_own_split(run / OWN_SPLIT_FILE, store, name, split.parts())


def split_summary(store: FrameStore, split: Split) -> dict[str, Any]:
    """Frames and molecules of each set, as JSON values."""
    sets = {}
    for part, frames in split.parts().items():
        molecules = [store.graphs[m].molecule for m in np.unique(store.molecule[frames])]
        sets[part] = {
            "frames": len(frames),
            "sha256": hashlib.sha256(np.asarray(frames, "<i8").tobytes()).hexdigest(),
            "molecules": [molecule.name for molecule in molecules],
            "inchikeys": [molecule.inchikey for molecule in molecules],
        }
    return {"task": split.task, "data": store.hash, "sets": sets}
