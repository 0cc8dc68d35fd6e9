"""The parent's end of one calculator worker: start it, ask it, and be rid of it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.calculators import worker as calculator_worker
from compbench_jax.calculators.spec import CalculatorSpec
from compbench_jax.calculators.worker import PROTOCOL, ProtocolError, read_message, write_message
from compbench_jax.errors import RunError

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
GRACE = 5.0
"""Seconds a worker has to end by itself once its input is closed."""


class WorkerDied(Exception):
    """The worker ended, hung, or wrote what is no message; it is gone. The text says which."""


class FrameFailed(Exception):
    """The calculator could not compute this frame; the worker is ready for the next. The text says why."""


@dataclass(frozen=True, eq=False)
class Job:
    """One frame to compute.

    Attributes:
        frame: its index in the store.
        molecule: of the frame, index into the store's graphs.
        numbers: atomic numbers ``[n_atoms]``.
        positions: Å ``[n_atoms, 3]``.
        info: what goes to ``atoms.info``.
        arrays: what goes to ``atoms.arrays``, each ``[n_atoms, …]``.
    """

    frame: int
    molecule: int
    numbers: np.ndarray
    positions: np.ndarray
    info: dict[str, Any]
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Answer:
    """Energy in eV, forces in eV/Å float64 ``[n_atoms, 3]``, and the seconds that the calculator took."""

    energy: float
    forces: np.ndarray
    seconds: float


class WorkerProcess:
    """One worker. After :class:`WorkerDied` it can only be thrown away.

    Args:
        spec: the calculator.
        log: file that the worker's standard error (and all that the calculator prints) is appended to.
        start_timeout: seconds for imports and the loading of weights.
        on_started: called with this worker before it is greeted, so that another thread can kill it meanwhile.

    Raises:
        RunError: the interpreter or calculator cannot be started; the reason in one line.
        WorkerDied: the worker ended or hung while starting.
    """

    def __init__(
        self,
        spec: CalculatorSpec,
        log: Path,
        start_timeout: float,
        on_started: Callable[["WorkerProcess"], None] | None = None,
    ):
        self.spec, self.log = spec, log
        self._once, self._gone = threading.Lock(), False
        interpreter = spec.python or sys.executable
        with log.open("ab") as errors:
            try:
                self.process = subprocess.Popen(
                    [interpreter, calculator_worker.__file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment(interpreter),
                    start_new_session=True,  # Ctrl-C is for the parent, and a kill takes grandchildren along
                )
            except OSError as error:
                raise RunError(
                    f"--python {interpreter} cannot be started ({error.strerror}): "
                    "give the path of a Python interpreter, e.g. ENVIRONMENT/bin/python"
                ) from error
        if on_started is not None:
            on_started(self)
        header = {
            "kind": "hello",
            "protocol": PROTOCOL,
            "calculator": spec.path,
            "keywords": spec.keywords,
            "path": [os.getcwd()],
            "packages": list(spec.packages),
        }
        self.ready = self._exchange(header, [], start_timeout)[0]
        if self.ready.get("kind") == "refused":
            self.close()
            raise RunError(f"the calculator {spec.path} did not start ({self.ready.get('reason')}): {spec.remedy}")
        if self.ready.get("kind") != "ready" or self.ready.get("protocol") != PROTOCOL:
            self.kill()
            raise WorkerDied("it answered the greeting with something else")

    def ask(self, job: Job, timeout: float) -> Answer:
        """Compute one frame.

        Raises:
            FrameFailed: the calculator raised, or returned what is no energy and forces.
            WorkerDied: the worker ended, took longer than ``timeout`` seconds, or wrote garbage.
        """
        header = {"kind": "frame", "id": job.frame, "numbers": job.numbers.tolist(), "info": job.info}
        answer, arrays = self._exchange(header, [("positions", job.positions), *job.arrays.items()], timeout)
        if answer.get("id") != job.frame or answer.get("kind") not in ("result", "failed"):
            self.kill()
            raise WorkerDied("it answered another question than was asked")
        if answer["kind"] == "failed":
            raise FrameFailed(str(answer.get("reason")))
        energy, forces = arrays.get("energy"), arrays.get("forces")
        if energy is None or forces is None or energy.shape != (1,) or forces.shape != (len(job.numbers), 3):
            raise FrameFailed("the worker answered with arrays of other shapes than one energy and one force per atom")
        if not (np.isfinite(energy).all() and np.isfinite(forces).all()):
            raise FrameFailed("the calculator returned an energy or forces that are not finite")
        return Answer(float(energy[0]), forces, float(answer.get("seconds", 0.0)))

    def close(self) -> None:
        """Let the worker end: its input closes. One that does not is killed."""
        try:
            assert self.process.stdin is not None and self.process.stdout is not None
            self.process.stdin.close()
            self.process.wait(GRACE)
            self.process.stdout.close()
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def kill(self) -> None:
        """End the worker and whatever it has started, now."""
        with self._once:
            first, self._gone = not self._gone, True
        if not first:  # its process id may be another's by now
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _exchange(
        self, header: dict[str, Any], arrays: list[tuple[str, np.ndarray]], timeout: float
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Send a message and wait for the answer; the alarm kills a worker that is late, which ends the waiting."""
        late = threading.Event()

        def alarm() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(timeout, alarm)
        timer.start()
        try:
            write_message(self.process.stdin, header, arrays)
            answer, found = read_message(self.process.stdout)
        except (OSError, ValueError, ProtocolError) as error:
            answer, found, reason = None, {}, calculator_worker.one_line(error)
        else:
            reason = "it closed its output"
        finally:
            timer.cancel()
        if answer is not None:
            return answer, found
        if late.is_set():
            raise WorkerDied(f"no answer within {timeout:g} s")
        try:
            code: int | None = self.process.wait(GRACE if isinstance(reason, str) and "closed" in reason else 0.2)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        raise WorkerDied(
            f"the process ended ({ending(code)})" if code is not None else f"garbage on the pipe: {reason}"
        )


def environment(interpreter: str) -> dict[str, str]:
    """Variables of a worker: one thread, and nothing that would lead another interpreter to this one's packages."""
    variables = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    if os.path.abspath(interpreter) != os.path.abspath(sys.executable):
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"):
            variables.pop(name, None)
    return variables


def ending(code: int) -> str:
    """An exit code in words: the name of the signal, or the number."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def last_line(log: Path) -> str:
    """The last line of a worker's log that is not empty, for an error message."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - 4096))
            lines = handle.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((" ".join(line.split())[:200] for line in reversed(lines) if line.strip()), "")
