"""Workers of dask.distributed: a scheduler somewhere else, or a cluster of this machine.

Dask's messages between client, scheduler and workers are pickles, and a scheduler runs what any client sends it. Give
the address only of one you trust (``docs/cluster.md`` says how to protect it with TLS). No file is ever unpickled.
"""

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from compbench_jax.errors import CompBenchError, optional_import
from compbench_jax.labelling.workers import MAX_DEATHS, ONE_THREAD, job_killed_its_workers

Job = TypeVar("Job")
Result = TypeVar("Result")

CONNECT_SECONDS = 30
"""Time for the scheduler to answer: batch scripts start it in the same breath as the command."""

LOGGERS = ("distributed", "distributed.core", "distributed.nanny", "distributed.scheduler", "distributed.worker")


@dataclass(frozen=True)
class DaskExecutor:
    """Workers of dask.distributed, one thread each.

    Attributes:
        address: of a running scheduler, e.g. ``"tcp://10.0.0.1:8786"``; None starts one on this machine, reachable from
            this machine only and without a dashboard, and ends it afterwards.
        workers: of the cluster on this machine.
        connect_seconds: how long to wait for the scheduler to answer.
    """

    address: str | None
    workers: int = 1
    connect_seconds: float = CONNECT_SECONDS

    def __post_init__(self) -> None:
        """Fail early where dask is missing.

        Raises:
            CompBenchError: dask.distributed is not installed.
        """
        optional_import("distributed", "cluster", "--executor dask")

    @property
    def description(self) -> str:
        """The workers in a few words."""
        if self.address is None:
            return f"{self.workers} dask worker{'s' if self.workers > 1 else ''}"
        return f"the workers of {self.address}"

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Run ``function(job)`` for every job, yielding as they finish.

        A scheduler is given all jobs at once, so that clusters which grow with the work see all of it. It runs a job
        again when its worker is lost, up to its own ``distributed.scheduler.allowed-failures`` (3; on this machine
        :data:`~compbench_jax.labelling.workers.MAX_DEATHS` workers in all).

        Raises:
            CompBenchError: no scheduler answers or it goes away, workers of several threads, workers without this
                package or that do not share the folder, a job that kills its workers; or whatever ``function`` raises.
        """
        from distributed import as_completed

        if not jobs:
            return
        with ExitStack() as stack:
            stack.enter_context(_silence())
            client = stack.enter_context(self._client())
            futures = client.map(partial(_run_job, function), list(jobs), pure=False, key="compbench-job")
            if self.address is not None:
                stack.callback(_forget, client, futures)
            job_of = {future.key: job for future, job in zip(futures, jobs, strict=True)}
            for future in as_completed(futures, loop=client.loop):
                job = job_of[future.key]
                result = self._result(future, job)
                future.release()
                yield job, result

    def _result(self, future: Any, job: object) -> Any:
        """The result of a finished future, or its error in our words."""
        import distributed

        try:
            return future.result()
        except distributed.KilledWorker as error:
            raise job_killed_its_workers(job) from error
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise CompBenchError(
                f"the dask scheduler {self.address or 'of this machine'} went away: run the same command to go on"
            ) from error
        except ImportError as error:
            if not (error.name or "").startswith("compbench_jax"):
                raise
            raise CompBenchError(
                f"a worker of {self.address} cannot run {job} ({error}): install the same compbench_jax everywhere"
            ) from error

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """A connected client; the cluster of this machine lives as long as it does."""
        import dask
        from distributed import Client, LocalCluster

        if self.address is not None:
            try:
                client = Client(self.address, timeout=self.connect_seconds, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                raise CompBenchError(
                    f"no dask scheduler answers at {self.address}: start one (dask scheduler) or correct --scheduler"
                ) from error
            with client:
                yield client
            return
        # One job a worker at a time, so that a worker's death is counted against the job that it ran.
        settings = {
            "distributed.scheduler.allowed-failures": MAX_DEATHS - 1,
            "distributed.scheduler.worker-saturation": 1.0,
            "distributed.worker.profile.enabled": False,
        }
        with (
            tempfile.TemporaryDirectory(prefix="compbench-dask-", ignore_cleanup_errors=True) as scratch,
            dask.config.set(settings),
            LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                memory_limit=None,
                local_directory=scratch,
                env=ONE_THREAD,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


def _run_job(function: Callable[[Job], Result], job: Job) -> Result:
    """Run a job in a worker that has one thread, since the last bits of labels may depend on their number."""
    from distributed import get_worker

    threads = get_worker().state.nthreads
    if threads != 1 or os.environ.get("OMP_NUM_THREADS") != "1":
        raise CompBenchError(
            f"dask workers have {threads} threads and OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', '')}: start "
            "them with --nthreads 1 and OMP_NUM_THREADS=1 (one worker a core)"
        )
    try:
        return function(job)
    except FileNotFoundError as error:
        raise CompBenchError(
            f"{job}: its worker on {socket.gethostname()} finds no {error.filename}: choose an --out on a file system "
            "that all workers share under the same path"
        ) from error


def _forget(client: Any, futures: Sequence[Any]) -> None:
    """Take back what is not finished, so that a scheduler of somebody else's does not go on with it."""
    open_futures = [future for future in futures if not future.done()]
    if open_futures and client.status == "running":
        client.cancel(open_futures, force=True)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep dask's running commentary (a worker lost, a worker started) off the terminal."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
