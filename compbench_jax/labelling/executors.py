"""Many workers behind one interface: a function, a list of jobs, and whoever runs them."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.labelling.workers import ProcessExecutor, default_workers

Job = TypeVar("Job")
Result = TypeVar("Result")

EXECUTORS = ("processes", "dask")
PATIENCE = 15.0
"""Seconds until a file written on another machine must be seen here; shared file systems cache what a folder holds."""


class Executor(Protocol):
    """Whoever runs jobs. Results never depend on which one it is, nor on how many workers it has."""

    @property
    def description(self) -> str:
        """The workers in a few words, e.g. ``"2 workers"``."""
        ...

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Run ``function(job)`` for every job, yielding each with its result as it finishes, in no fixed order.

        Every job is yielded exactly once. A job whose worker dies is run again, so it must leave the same behind
        however often it is begun; one that kills worker after worker ends the run with an error that names it. An
        exception of ``function`` ends the run and goes on to the caller.

        Args:
            function: of a module (not a lambda), run in the workers.
            jobs: what it is called with; ``str(job)`` is how errors name one.
        """
        ...


def make_executor(name: str, workers: int = 0, scheduler: str | None = None) -> Executor:
    """The executor that a command line asks for.

    Args:
        name: ``"processes"`` (of this machine) or ``"dask"`` (dask.distributed).
        workers: how many, one thread each; 0 for one per core. The workers of a given scheduler are its own.
        scheduler: address of a running dask scheduler; None starts a cluster on this machine.

    Raises:
        CompBenchError: no such executor, options that do not go together, or dask is not installed.
    """
    if name not in EXECUTORS:
        raise CompBenchError(f"no executor {name!r}: choose one of {', '.join(EXECUTORS)}")
    if workers < 0:
        raise CompBenchError(f"--workers is {workers}: give 0 (one per core) or more")
    if name == "processes":
        if scheduler is not None:
            raise CompBenchError(f"--scheduler {scheduler} is of no use to --executor processes: add --executor dask")
        return ProcessExecutor(workers or default_workers())
    from compbench_jax.labelling.dask_executor import DaskExecutor

    if scheduler is None:
        return DaskExecutor(None, workers or default_workers())
    if workers:
        raise CompBenchError(
            f"--workers {workers} with --scheduler: the scheduler has workers of its own, leave it out"
        )
    return DaskExecutor(scheduler)


def require_visible(path: Path, job: object, patience: float = PATIENCE) -> None:
    """Wait until a file that a worker says it has written is seen here.

    Args:
        path: the file.
        job: whose it is, for the message.
        patience: seconds to wait, for shared file systems that show new files late.

    Raises:
        DataError: it is not there after that time.
    """
    end = time.monotonic() + patience
    while not path.exists():
        if time.monotonic() > end:
            raise DataError(
                f"{job}: its worker wrote {path}, which is not to be seen here: choose an --out on a file system that "
                "all workers share under the same path"
            )
        time.sleep(0.2)
