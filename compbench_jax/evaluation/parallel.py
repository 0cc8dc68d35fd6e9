"""Several processes that predict at once, each on cores of its own. For CPUs.

In one process XLA cuts each operation into pieces for all cores, and those of a small network are so short that
handing them over takes a good part of the time. A process that is held to one core hands nothing over.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.predict import Predictions
from compbench_jax.evaluation.sets import Predictor, predict_sets
from compbench_jax.evaluation.settings import Settings
from compbench_jax.labelling.workers import default_workers, end_pool, start_worker
from compbench_jax.models.precision import prepare_precision
from compbench_jax.own_code import load_files, loaded_files
from compbench_jax.store.frames import offsets_of, ragged_indices
from compbench_jax.store.store import FrameStore, open_store
from compbench_jax.training.loaded_run import LoadedRun

POLL = 0.2
"""Seconds between two looks at how far the processes are."""

_report: Callable[[int], Any] | None = None
"""In a process of the pool: tells the parent how many frames are done."""


def processes(workers: int) -> int:
    """The number that ``--workers`` stands for.

    Raises:
        RunError: it is negative.
    """
    if workers < 0:
        raise RunError(f"--workers is {workers}: give 1 or more, or 0 for one per core")
    return workers or default_workers()


@contextmanager
def predictor_of(workers: int) -> Iterator[Predictor]:
    """What predicts with so many processes: this one alone, or a pool that lives as long as the context.

    Args:
        workers: processes; 0 for one per core.

    Raises:
        RunError: a negative number, or more than one process where JAX does not compute on a CPU.
    """
    workers = processes(workers)
    if workers == 1:
        yield predict_sets
        return
    if jax.default_backend() != "cpu":
        raise RunError(
            f"--workers {workers} shares the cores of a CPU, and JAX computes on {jax.default_backend()} here: "
            "leave it out"
        )
    pool = ProcessPool(workers)
    try:
        yield pool
    finally:
        pool.close()


class ProcessPool:
    """Processes that predict a share of the frames each; they start when they are first needed.

    Args:
        workers: how many, at least 1.
    """

    def __init__(self, workers: int):
        context = multiprocessing.get_context("spawn")
        self._done = context.SimpleQueue()
        self._pools = [
            ProcessPoolExecutor(1, context, initializer=begin, initargs=(self._done.put, cores, loaded_files()))
            for cores in shares_of_cores(workers)
        ]

    def __call__(
        self,
        run: LoadedRun,
        store: FrameStore,
        frames: Mapping[str, np.ndarray],
        settings: Settings,
        progress: Callable[[int], Any],
    ) -> dict[str, Predictions]:
        """:func:`predict_sets` in all processes, every n-th frame in each.

        Raises:
            DataError: an element that the potential does not know.
            RunError: a process died.
        """
        n = len(self._pools)
        shares = [{name: indices[k::n] for name, indices in frames.items()} for k in range(n)]
        try:
            futures = [
                pool.submit(predict_share, run, store.path, share, settings)
                for pool, share in zip(self._pools, shares, strict=True)
            ]
            self._follow(futures, progress)
        except BrokenProcessPool as error:
            raise RunError(
                "a process that evaluates was killed (out of memory?): evaluate with fewer --workers, or a smaller "
                "--batch-size"
            ) from error
        answers = [future.result() for future in futures]
        return {name: joined(store, indices, [item.get(name) for item in answers]) for name, indices in frames.items()}

    def close(self) -> None:
        """End the processes, whatever they do."""
        for pool in self._pools:
            end_pool(pool)

    def _follow(self, futures: list[Future], progress: Callable[[int], Any]) -> None:
        """Hand on what the processes report until all have finished; raises what the first one to fail raises."""
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, POLL, FIRST_EXCEPTION)
            for future in done:
                future.result()
            while not self._done.empty():
                progress(self._done.get())


def shares_of_cores(workers: int) -> list[list[int]]:
    """The cores of each process, as evenly as possible; empty where the system does not let one choose."""
    if not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(workers)]
    cores = sorted(os.sched_getaffinity(0))
    if workers > len(cores):
        return [[cores[k % len(cores)]] for k in range(workers)]
    return [share.tolist() for share in np.array_split(cores, workers)]


def begin(report: Callable[[int], Any], cores: list[int], own_files: list[Path]) -> None:
    """Start a process of the pool: before JAX, which makes as many threads as the process has cores."""
    global _report
    start_worker()
    _report = report
    if cores:
        os.sched_setaffinity(0, cores)
    load_files(own_files)  # the potential may be in one of them


def predict_share(
    run: LoadedRun, store: Path, frames: Mapping[str, np.ndarray], settings: Settings
) -> dict[str, Predictions]:
    """:func:`predict_sets`, in a process of the pool; sets without a frame stay out."""
    prepare_precision(run.potential.precision)
    assert _report is not None
    present = {name: item for name, item in frames.items() if len(item)}
    return predict_sets(run, open_store(store), present, settings, _report) if present else {}


def joined(store: FrameStore, indices: np.ndarray, shares: list[Predictions | None]) -> Predictions:
    """Predictions of these frames from those of every n-th of them; None for a share without a frame."""
    n, n_frames = len(shares), len(indices)
    offsets = offsets_of(store.offsets[indices + 1] - store.offsets[indices])
    lengths = np.diff(offsets)
    found = Predictions(np.zeros(n_frames), np.zeros((offsets[-1], 3), np.float32))
    for k, share in enumerate(shares):
        if share is not None:
            found.energy[k::n] = share.energy
            found.forces[ragged_indices(offsets[:-1][k::n], lengths[k::n])] = share.forces
    return found
