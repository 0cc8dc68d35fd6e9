"""Processes of this machine as workers, replaced when they die."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from compbench_jax.errors import CompBenchError

Job = TypeVar("Job")
Result = TypeVar("Result")

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
MAX_DEATHS = 3
"""A job during which this many workers died is not tried again."""


def default_workers() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def job_killed_its_workers(job: object) -> CompBenchError:
    """The error for a job that was given up because worker after worker died of it."""
    return CompBenchError(
        f"{job}: {MAX_DEATHS} workers died of it (out of memory, most often): use fewer workers or free memory, then "
        "run the same command to go on; what is finished is kept"
    )


@dataclass(frozen=True)
class ProcessExecutor:
    """Worker processes of one thread each.

    Every worker is a pool of its own, so that the death of one (killed, or out of memory) is known to be that of one
    job: this job is run again in a new process, while the others go on undisturbed.

    Attributes:
        workers: how many, at least 1.
    """

    workers: int

    @property
    def description(self) -> str:
        """The workers in a few words."""
        return f"{self.workers} worker{'s' if self.workers > 1 else ''}"

    def run(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Run ``function(job)`` for every job, yielding as they finish.

        Jobs start in the given order. On an exception or Ctrl-C the workers are ended and the exception goes on; what a
        job has already written stays. Workers end by themselves when the parent is killed.

        Raises:
            CompBenchError: a job during which :data:`MAX_DEATHS` workers died; or whatever ``function`` raises.
        """
        waiting = deque(enumerate(jobs))
        deaths = [0] * len(jobs)
        running: dict[Future, tuple[int, ProcessPoolExecutor]] = {}
        with _one_thread_environment():
            try:
                for _ in range(min(self.workers, len(jobs))):
                    index, job = waiting.popleft()
                    running.update([_start(_new_pool(), function, index, job)])
                while running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        index, pool = running.pop(future)
                        if isinstance(future.exception(), BrokenProcessPool):
                            pool.shutdown()
                            deaths[index] += 1
                            if deaths[index] >= MAX_DEATHS:
                                raise job_killed_its_workers(jobs[index])
                            running.update([_start(_new_pool(), function, index, jobs[index])])
                            continue
                        if waiting:
                            following, job = waiting.popleft()
                            running.update([_start(pool, function, following, job)])
                        else:
                            pool.shutdown(wait=False)
                        yield jobs[index], future.result()
            except BaseException:
                for _, pool in running.values():
                    end_pool(pool)
                raise


def _new_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=start_worker)


def _start(
    pool: ProcessPoolExecutor, function: Callable[[Job], Any], index: int, job: Job
) -> tuple[Future, tuple[int, ProcessPoolExecutor]]:
    """Give the job to the pool, or to a new one if its worker died between two jobs."""
    try:
        return pool.submit(function, job), (index, pool)
    except BrokenProcessPool:
        pool = _new_pool()
        return pool.submit(function, job), (index, pool)


def end_pool(pool: ProcessPoolExecutor) -> None:
    """End a pool and its process in the middle of whatever it does."""
    for process in list((pool._processes or {}).values()):
        process.terminate()
    pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _one_thread_environment() -> Iterator[None]:
    """Variables that workers inherit, set before they load any numerical library; put back afterwards."""
    kept = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent does, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
