"""Several calculator workers at once, each restarted when it dies; frames that kill it are given up, others go on."""

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.calculators.process import FrameFailed, Job, WorkerDied, WorkerProcess, last_line
from compbench_jax.calculators.spec import CalculatorSpec
from compbench_jax.errors import RunError

DEATHS_OF_A_FRAME = 2
"""Workers that a frame may take with it before it is given up."""

FRAMES_OF_A_MOLECULE = 3
"""Frames given up this way after which the rest of their molecule is not tried."""

MOLECULES_WITHOUT_RESULT = 3
"""Molecules lost this way, before any frame has succeeded, after which the whole evaluation stops."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds that a worker has.

    Attributes:
        frame: for one frame.
        start: for imports and the loading of weights.
    """

    frame: float = 300.0
    start: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RunError: names the setting.
        """
        for name, option in (("frame", "timeout"), ("start", "start-timeout")):
            if not 0 < getattr(self, name) <= threading.TIMEOUT_MAX:
                raise RunError(f"--{option} is {getattr(self, name)}: give seconds, more than 0")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one frame.

    Attributes:
        frame: its index in the store.
        energy: eV; NaN if it failed.
        forces: eV/Å float32 ``[n_atoms, 3]``; None if it failed.
        seconds: that the calculator took; 0 if it failed.
        reason: why it failed, in one line; empty if it did not.
    """

    frame: int
    energy: float
    forces: np.ndarray | None
    seconds: float
    reason: str = ""


def failure(frame: int, reason: str) -> Outcome:
    """The outcome of a frame that failed."""
    return Outcome(frame, float("nan"), None, 0.0, reason)


class WorkerPool:
    """Workers of one calculator.

    Args:
        spec: the calculator.
        workers: how many, at least 1.
        logs: folder for ``worker-K.log``, which take whatever the workers print.
        timeouts: of a frame and of the start.
        on_ready: called with what each worker that is ready told.
    """

    def __init__(
        self,
        spec: CalculatorSpec,
        workers: int,
        logs: Path,
        timeouts: Timeouts,
        on_ready: Callable[[dict[str, Any]], None] | None = None,
    ):
        self.spec, self.workers, self.logs, self.timeouts = spec, workers, logs, timeouts
        self._on_ready = on_ready
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._alive: dict[int, WorkerProcess] = {}
        self._lost: Counter[int] = Counter()
        self._succeeded = False

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Compute every frame, yielding in the order in which they finish.

        When the iterator is closed, or the caller raises while it waits, the workers are killed.

        Raises:
            RunError: the calculator does not start, or kills its worker on molecule after molecule.
        """
        # Bounded, so that an interruption finds only a few outcomes that nobody has kept yet.
        waiting, done = deque(jobs), queue.Queue[Outcome | BaseException | None](2 * self.workers)
        threads = [
            threading.Thread(target=self._serve, args=(index, waiting, done), daemon=True)
            for index in range(min(self.workers, len(jobs)))
        ]
        running = len(threads)
        try:
            for thread in threads:
                thread.start()
            while running:
                item = done.get()
                if item is None:
                    running -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self._stop.set()
            with self._lock:
                for worker in self._alive.values():
                    worker.kill()
            for thread in threads:
                thread.join()

    def _serve(self, index: int, waiting: deque[Job], done: queue.Queue) -> None:
        """One thread: it owns one worker and replaces it when it dies."""
        worker: WorkerProcess | None = None
        try:
            while not self._stop.is_set():
                try:
                    job = waiting.popleft()
                except IndexError:
                    break
                outcome, worker = self._compute(index, worker, job)
                if outcome is not None:
                    self._hand_over(done, outcome)
            if worker is not None:
                worker.close()
        except BaseException as error:
            self._hand_over(done, error)
        finally:
            with self._lock:
                self._alive.pop(index, None)
            self._hand_over(done, None)

    def _hand_over(self, done: queue.Queue, item: Outcome | BaseException | None) -> None:
        """Wait for room in the queue, or until nobody reads it any more."""
        while not self._stop.is_set():
            try:
                return done.put(item, timeout=0.1)
            except queue.Full:
                continue

    def _compute(
        self, index: int, worker: WorkerProcess | None, job: Job
    ) -> tuple[Outcome | None, WorkerProcess | None]:
        """The outcome of one frame (None when stopped), and the worker that is there afterwards."""
        if self._lost[job.molecule] >= FRAMES_OF_A_MOLECULE:
            return failure(
                job.frame, f"not tried: {FRAMES_OF_A_MOLECULE} frames of its molecule ended the worker"
            ), worker
        reason = ""
        for _ in range(DEATHS_OF_A_FRAME):
            if worker is None:
                worker = self._start(index)
            try:
                answer = worker.ask(job, self.timeouts.frame)
            except FrameFailed as error:
                return failure(job.frame, str(error)), worker
            except WorkerDied as error:
                if self._stop.is_set():
                    return None, None
                reason, worker = str(error), None
                continue
            self._succeeded = True
            return Outcome(job.frame, answer.energy, answer.forces.astype(np.float32), answer.seconds), worker
        with self._lock:
            self._lost[job.molecule] += 1
            hopeless = not self._succeeded and sum(n >= 1 for n in self._lost.values()) >= MOLECULES_WITHOUT_RESULT
        if hopeless:
            raise RunError(
                f"the calculator {self.spec.path} ends its worker on every molecule ({reason}; "
                f"{self._last_words(index)}): fix it, or raise --timeout if it is only slow"
            )
        return failure(job.frame, f"ended {DEATHS_OF_A_FRAME} workers: {reason}"), None

    def _start(self, index: int) -> WorkerProcess:
        """A new worker; tried twice."""
        log = self.logs / f"worker-{index}.log"

        def started(worker: WorkerProcess) -> None:
            with self._lock:
                self._alive[index] = worker
                if self._stop.is_set():
                    worker.kill()

        for attempt in range(2):
            try:
                worker = WorkerProcess(self.spec, log, self.timeouts.start, started)
                break
            except WorkerDied as error:
                if attempt or self._stop.is_set():
                    raise RunError(
                        f"the worker of {self.spec.path} does not start ({error}; {self._last_words(index)}): "
                        f"{self.spec.remedy}"
                    ) from error
        if self._on_ready is not None:
            with self._lock:
                self._on_ready(worker.ready)
        return worker

    def _last_words(self, index: int) -> str:
        return f"last line of {self.logs / f'worker-{index}.log'}: {last_line(self.logs / f'worker-{index}.log')!r}"
