"""What is done for a cell, as command lines, and what of it is kept."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from compbench_jax._version import __version__
from compbench_jax.errors import DataError, RunError
from compbench_jax.files import read_json, write_atomically
from compbench_jax.suites.cells import Cell
from compbench_jax.suites.plan import TRIAL_LOG_EVERY, TRIAL_STEPS, Plan, measured_rate
from compbench_jax.training.configuration import FILE as CONFIG_FILE

KEPT = ("showcase.json", "config.json", "audit.json", "log.jsonl")
"""Files of a run that are copied next to its results.json; checkpoints and predictions stay in the run folder."""

VALIDATIONS = 8
MONITOR_FRAMES = 100
"""Validations of a run, and the test frames of each set that are watched at each: of the larger tasks one validation
takes as long as fifty steps."""

LOG_LINES, LOG_EVERY = 250, 20
"""Most lines about steps in the log of a run, which is published, and the fewest steps from one to the next."""

CELL_FILE = "cell.json"
TRAIN = (sys.executable, "-m", "compbench_jax.cli.train")
EVALUATE = (sys.executable, "-m", "compbench_jax.cli.evaluate")
CONVERT = (sys.executable, "-m", "compbench_jax.cli.main", "foundation", "convert")


@dataclass(frozen=True)
class Stage:
    """One program to run: what it does in a word, and its command line."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a suite reads and writes.

    Attributes:
        data: folder of the store.
        runs: run folders, with checkpoints.
        out: what is worth publishing: results, configurations, logs.
        batch_size: of training.
    """

    data: Path
    runs: Path
    out: Path
    batch_size: int = 8

    def run(self, cell: Cell) -> Path:
        """Run folder of a cell."""
        return self.runs / cell.name

    def results(self, cell: Cell) -> Path:
        """Results folder of a cell."""
        return self.out / cell.name

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell's results are all there; ``cell.json`` is written last. A converted run has none."""
        if cell.kind == "convert":
            return (self.run(cell) / CONFIG_FILE).exists()
        try:
            content = read_json(self.results(cell) / CELL_FILE)
        except DataError:
            return False
        return bool(isinstance(content, dict) and content.get("cell") == json.loads(json.dumps(asdict(cell))))


def stages(cell: Cell, place: Place, plan: Plan, memory: dict[str, float]) -> Iterator[Stage]:
    """Programs of a cell, one after the other; what comes between them is done when the next one is asked for.

    Args:
        cell: of the suite.
        place: its folders.
        plan: its steps; the trial of a potential that is new is its first stage.
        memory: peak of each cell's programs so far (GB), by name, where it is known.
    """
    run = place.run(cell)
    common = ("--task", cell.task, "--data", str(place.data))
    evaluate = EVALUATE if cell.frames is None else (*EVALUATE, "--max-frames", str(cell.frames))
    if cell.takes_steps:
        seeds = ("--seeds", str(cell.seeds)) if cell.seeds > 1 else ()
        words = (*TRAIN, *common, "--seed", str(cell.seed), *seeds, "--batch-size", str(place.batch_size),
                 *cell.options, *(("--init-from", str(place.runs / cell.parent)) if cell.parent else ()))  # fmt: skip
        model = f"model:{cell.potential}"
        if plan.steps(cell) is None:
            trial = place.runs / "trials" / cell.name
            shutil.rmtree(trial, ignore_errors=True)
            seldom = ("--watch.log-every", str(TRIAL_LOG_EVERY), "--watch.monitor-frames", "0")
            yield Stage("timing", (*words, "--out", str(trial), "--steps", str(TRIAL_STEPS), *seldom, model))
            if plan.steps(cell) is None:  # another cell of the same speed may have been timed meanwhile
                plan.note(cell, measured_rate(trial / "log.jsonl"), place.batch_size, memory.get(cell.name))
            shutil.rmtree(trial, ignore_errors=True)
        steps = plan.steps(cell) or 0
        watch = ("--watch.validate-every", str(-(-steps // VALIDATIONS)),
                 "--watch.monitor-frames", str(MONITOR_FRAMES),
                 "--watch.log-every", str(max(LOG_EVERY, -(-steps // LOG_LINES))))  # fmt: skip
        yield Stage("training", (*words, "--out", str(run), "--steps", str(steps), *watch, model))
        if cell.kind == "train":
            yield Stage("evaluating", (*evaluate, "--run", str(run)))
    elif cell.kind == "fit":
        yield Stage("fitting", (*TRAIN, *common, "--out", str(run), f"model:{cell.potential}"))
        yield Stage("evaluating", (*evaluate, "--run", str(run)))
    elif cell.kind == "convert":
        yield Stage("converting", (*CONVERT, cell.potential, "--out", str(run)))
        return
    elif cell.kind == "again":
        of = str(place.runs / cell.parent)
        yield Stage("evaluating", (*evaluate, "--run", of, *common, "--out", str(run)))
    else:
        words = (*evaluate, f"--{cell.kind}", cell.potential, *common, "--out", str(run))
        yield Stage("evaluating", words)
    keep(cell, place, memory.get(cell.name))


def keep(cell: Cell, place: Place, gigabytes: float | None) -> None:
    """Copy what is worth publishing from the run to the results.

    Raises:
        RunError: the evaluation left no results.
    """
    run, out = place.run(cell), place.results(cell)
    if cell.kind != "pretrain" and not (run / "results.json").exists():
        raise RunError(f"{run} has no results.json after its evaluation: look into its suite.log")
    out.mkdir(parents=True, exist_ok=True)
    for name in ("results.json", *KEPT):
        if (run / name).exists():
            shutil.copyfile(run / name, out / name)
    content = {"cell": asdict(cell), "compbench_jax": __version__, "peak_memory_gb": gigabytes}
    write_atomically(out / CELL_FILE, (json.dumps(content, indent=1) + "\n").encode())
