"""How many steps a cell takes: the same minutes for every potential, from its speed measured once."""

import datetime
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.files import parse_json, read_json, read_text, write_atomically
from compbench_jax.splits.roles import inner_task, role_of
from compbench_jax.suites.cells import Cell

FORMAT = "compbench-suite"
VERSION = 1
FILE = "plan.json"
TRIAL_STEPS = 60
TRIAL_LOG_EVERY = 5
LEAST_FRACTION = 0.05
"""Shares of the cores below this are taken for it: the clock of processor time is too coarse for them."""
ROUNDING = 50
"""Steps are multiples of this, so that nearly equal speeds give equal runs."""


@dataclass
class Plan:
    """Measured speeds and the steps they allow; kept next to the results, so that a resumed suite keeps its steps.

    Attributes:
        path: of ``plan.json``.
        settings: suite, minutes, data, workers, hardware: what the steps depend on.
        speeds: ``"TASK potential"`` → structures per second, steps, date, memory.
    """

    path: Path
    settings: dict[str, Any]
    speeds: dict[str, dict[str, Any]] = field(default_factory=dict)

    def steps(self, cell: Cell) -> int | None:
        """Steps of a cell; None while its speed is unknown."""
        known = self.speeds.get(key(cell))
        return None if known is None else int(known["steps"])

    def note(self, cell: Cell, rate: float, batch_size: int, gigabytes: float | None) -> None:
        """Keep the speed (structures per second) of a cell's potential on its task."""
        exact = self.settings["minutes"] * 60.0 * rate / batch_size
        steps = max(1, round(exact)) if exact < ROUNDING else int(exact) // ROUNDING * ROUNDING
        self.speeds[key(cell)] = {
            "structures_per_second": round(rate, 2),
            "steps": steps,
            "memory_gb": gigabytes,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        self.write()

    def write(self) -> None:
        """Write ``plan.json``, whole or not at all."""
        content = {"format": FORMAT, "version": VERSION, **self.settings, "speeds": self.speeds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, (json.dumps(content, indent=1) + "\n").encode())


def key(cell: Cell) -> str:
    """Under which the steps of a cell are kept.

    They are shared by what is compared: seeds, a task and its controls, and a potential wherever its training begins.
    """
    task = cell.task if role_of(cell.task) == "pretraining" else inner_task(cell.task)
    return f"{task} {cell.potential}" + (f" x{cell.seeds}" if cell.seeds > 1 else "")


def open_plan(folder: Path, settings: dict[str, Any]) -> Plan:
    """The plan of a results folder, or a new one.

    Raises:
        DataError: the plan cannot be read.
        RunError: it is damaged, or the folder holds the plan of another suite, budget or data set.
    """
    path = folder / FILE
    if not path.exists():
        return Plan(path, settings)
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise RunError(f"{path} is not a plan of this version: give another --out")
    for name in ("suite", "minutes", "data_hash"):
        if content.get(name) != settings[name]:
            raise RunError(
                f"{path} was made with {name} {content.get(name)}, now it is {settings[name]}: give another --out, "
                "or the same setting"
            )
    # Workers and hardware are those that the speeds were measured with.
    kept = {name: content.get(name) for name in settings}
    speeds = content.get("speeds")
    if not isinstance(speeds, dict) or not all(
        isinstance(item, dict) and type(item.get("steps")) is int for item in speeds.values()
    ):
        raise RunError(f"{path} is damaged, its speeds are none: restore it, or give another --out")
    return Plan(path, kept, speeds)


def measured_rate(log: Path) -> float:
    """Structures per second of a trial run on cores of its own: the median of its log's later lines.

    On a CPU it is structures by processor time, so that whatever else the machine does costs a potential no steps. An
    accelerator has nobody else at work: there it is structures by the clock.

    Raises:
        RunError: the log has no such lines.
    """
    try:
        events = [parse_json(line) for line in read_text(log).splitlines()]
        on_cpu = any(event.get("device") == "cpu" for event in events)
        rates = [
            event["structures_per_second"] / (max(event["processor_fraction"], LEAST_FRACTION) if on_cpu else 1.0)
            for event in events
            if event.get("event") == "train"
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{log} is damaged ({error}): run the same command again") from error
    late = rates[len(rates) // 3 :]
    if not late:
        raise RunError(f"{log} holds no training steps: look into the log of the cell")
    return statistics.median(late)
