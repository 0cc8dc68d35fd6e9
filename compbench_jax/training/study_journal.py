"""The journal of a study of ``compbench tune``, and the locks of the processes that share it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError

JOURNAL_FILE = "journal.log"
NAME = "compbench"

STARTUP = 4
"""Trials that run to their end before any is stopped by comparison with them; the first of the search are random."""


def open_study(optuna: Any, folder: Path, steps: int, prune: bool) -> Any:
    """The study of a folder, by its journal; ``steps`` are those of a trial."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL_FILE), lock_obj=KernelLock(folder))
    # Early validations say little: a quarter of the steps is left to every trial.
    median = optuna.pruners.MedianPruner(STARTUP, n_warmup_steps=steps // 4)
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=NAME,
        direction="minimize",
        load_if_exists=True,
        pruner=median if prune else optuna.pruners.NopPruner(),
    )


class KernelLock:
    """Lock of the journal that goes with its process, unlike optuna's own, which a killed process leaves behind.

    It has the two methods that optuna asks of a lock.
    """

    def __init__(self, folder: Path):
        self.path = folder / ".journal-lock"
        self.stack: list[contextlib.ExitStack] = []

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        stack = contextlib.ExitStack()
        stack.enter_context(waiting_lock(self.path))
        self.stack.append(stack)
        return True

    def release(self) -> None:
        """Give it back."""
        self.stack.pop().close()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process that changes what the study is or who does what."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write to {folder} ({error.strerror}): give another --out") from error
    with waiting_lock(folder / ".lock"):
        yield


@contextlib.contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold a file lock of the kernel, after waiting for it; nothing where there are none."""
    with path.open("a") as handle:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def repair_journal(path: Path) -> None:
    """Take out a last line that a kill or a full disk left incomplete; optuna would read no further."""
    with waiting_lock(path.with_name(".journal-lock")):
        if not path.exists():
            return
        with path.open("r+b") as handle:
            content = handle.read()
            if content and not content.endswith(b"\n"):
                handle.truncate(content.rfind(b"\n") + 1)
