"""Concurrent cells of a suite, each on cores of its own; one that fails does not stop the others."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from compbench_jax.errors import CompBenchError
from compbench_jax.runtime import PARENT
from compbench_jax.suites.cells import Cell
from compbench_jax.suites.plan import Plan
from compbench_jax.suites.work import Place, Stage, stages
from compbench_jax.training.interruption import Interruption

LOG = "suite.log"
"""In the run folder of a cell: all that its programs print."""

POLL_SECONDS = 0.2
GRACE_SECONDS = 120.0
"""Time that programs have to save their work when the suite is stopped."""

Say = Callable[[str], None]


@dataclass
class Outcome:
    """How a suite ended: names of the cells, why those that failed did, and the signal that stopped it, if one did."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: int | None = None


@dataclass
class Running:
    """A running cell.

    Attributes:
        cell: which.
        cores: that its programs may use; empty where the system has no such thing.
        todo: its remaining stages.
        stage: the present one.
        process: its program.
        log: open file of all output.
        began: monotonic seconds.
    """

    cell: Cell
    cores: set[int]
    todo: Iterator[Stage]
    stage: Stage
    process: "subprocess.Popen[bytes]"
    log: IO[bytes]
    began: float


def share_cores(workers: int) -> list[set[int]]:
    """Cores of this process divided among so many workers; all to each where there are fewer cores than workers."""
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(workers)]
    cores = sorted(os.sched_getaffinity(0))
    if workers > len(cores):
        return [set(cores) for _ in range(workers)]
    return [set(cores[k::workers]) for k in range(workers)]


def run_cells(
    cells: Sequence[Cell], place: Place, plan: Plan, workers: int, say: Say, memory: dict[str, float] | None = None
) -> Outcome:
    """Run cells that are not done yet.

    Args:
        cells: in the order to start them; a cell's parent comes before it.
        place: folders.
        plan: steps; speeds of new potentials are added to it.
        workers: cells at a time.
        say: takes a line of progress.
        memory: filled with the peak memory (GB) of each cell's programs, where the system tells.

    Returns:
        how each ended. On SIGINT or SIGTERM all programs are asked to save and stop, and ``stopped`` is the signal.
    """
    memory = {} if memory is None else memory
    outcome = Outcome(done=[cell.name for cell in cells if place.is_done(cell)])
    if outcome.done:
        say(f"{len(outcome.done)} of {len(cells)} cells are done already")
    waiting = [cell for cell in cells if cell.name not in outcome.done]
    free = share_cores(workers)
    running: list[Running] = []
    with Interruption() as interruption:
        try:
            while waiting or running:
                if interruption.signal is None:
                    _start(waiting, running, free, place, plan, outcome, memory, say)
                elif outcome.stopped is None:
                    outcome.stopped = interruption.signal
                    waiting.clear()
                    _end(running, signal.SIGTERM)
                for item in list(running):
                    _note_memory(item, memory)
                    if item.process.poll() is not None:
                        _advance(item, running, free, place, outcome, say, len(cells))
                time.sleep(POLL_SECONDS)
        finally:
            if running:  # an error of our own: leave no program behind
                _end(running, signal.SIGTERM)
                for item in running:
                    with suppress(subprocess.TimeoutExpired):
                        item.process.wait(GRACE_SECONDS)
                _end(running, signal.SIGKILL)
    return outcome


def _start(
    waiting: list[Cell],
    running: list[Running],
    free: list[set[int]],
    place: Place,
    plan: Plan,
    outcome: Outcome,
    memory: dict[str, float],
    say: Say,
) -> None:
    """Start cells while there are cores for them; cells whose parent failed fail with it."""
    if not free:
        return
    for cell in list(waiting):
        if cell.parent in outcome.failed:
            outcome.failed[cell.name] = f"needs {cell.parent}, which failed"
            waiting.remove(cell)
            say(f"{cell.name}: left out, {outcome.failed[cell.name]}")
            continue
        present = {other.name for other in waiting} | {item.cell.name for item in running}
        if not free or cell.parent in present:
            continue
        waiting.remove(cell)
        todo = stages(cell, place, plan, memory)
        folder = place.run(cell)
        folder.mkdir(parents=True, exist_ok=True)
        log = (folder / LOG).open("ab")
        cores = free.pop(0)
        stage = next(todo)
        running.append(Running(cell, cores, todo, stage, launch(stage, cores, log), log, time.monotonic()))
        say(f"{cell.name}: {stage.name} ({len(waiting)} waiting)")


def launch(stage: Stage, cores: set[int], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the program of a stage on these cores.

    It is a session of its own: Ctrl-C reaches this process alone, which passes it on once. If this process is killed,
    the program stops by itself.
    """
    process = subprocess.Popen(
        stage.command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "100", PARENT: str(os.getpid())},
        start_new_session=True,
    )
    if cores:
        with suppress(ProcessLookupError):  # it has ended already
            os.sched_setaffinity(process.pid, cores)
    return process


def _advance(
    item: Running, running: list[Running], free: list[set[int]], place: Place, outcome: Outcome, say: Say, total: int
) -> None:
    """A program has ended: start the next one of its cell, or note how the cell ended."""
    name = item.cell.name
    problem = ""
    if item.process.returncode == 0 and outcome.stopped is None:
        try:
            stage = next(item.todo, None)
        except (CompBenchError, OSError, ValueError) as error:
            stage, problem = None, str(error)
        if stage is not None:
            item.stage = stage
            item.process = launch(stage, item.cores, item.log)
            say(f"{name}: {stage.name}")
            return
    elif outcome.stopped is None:
        problem = f"{item.stage.name} ended with exit code {item.process.returncode}: {last_line(place.run(item.cell))}"
    item.log.close()
    running.remove(item)
    free.append(item.cores)
    if outcome.stopped is not None:
        say(f"{name}: stopped while {item.stage.name}")
    elif problem:
        outcome.failed[name] = problem
        say(f"{name}: FAILED, {problem}")
    else:
        outcome.done.append(name)
        minutes = (time.monotonic() - item.began) / 60
        say(f"{name}: done in {minutes:.1f} min; {len(outcome.done)} of {total}, {len(outcome.failed)} failed")


def _end(running: Sequence[Running], number: int) -> None:
    for item in running:
        if item.process.poll() is None:
            with suppress(ProcessLookupError):
                item.process.send_signal(number)


def last_line(run: Path) -> str:
    """Last line that the programs of a run printed."""
    lines = (run / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing was printed")


def _note_memory(item: Running, memory: dict[str, float]) -> None:
    """Keep the peak of resident memory so far, where /proc tells it."""
    with suppress(OSError):
        status = Path(f"/proc/{item.process.pid}/status").read_text(encoding="utf-8")
        # A program that has just ended is still listed, without this line.
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                gigabytes = round(int(line.split()[1]) / 2**20, 2)
                memory[item.cell.name] = max(memory.get(item.cell.name, 0.0), gigabytes)
