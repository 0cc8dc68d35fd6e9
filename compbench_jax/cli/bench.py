"""``compbench bench``."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from compbench_jax.suites.cells import Cell, Suite
    from compbench_jax.suites.plan import Plan
    from compbench_jax.suites.work import Place


@dataclass(frozen=True)
class Arguments:
    """Train and evaluate a whole grid: potentials × tasks × seeds, with baselines, controls and foundation models.

    compbench bench --suite mini --dry-run     show the plan
    compbench bench --suite mini               run it, two cells at a time on two cores

    Every potential gets the same minutes of training. Its speed on a task is measured once, and the resulting number
    of steps is stored in OUT/plan.json. Finished cells are skipped, so the same command resumes after an interruption
    or a failure. A failed cell does not stop the others (its output: RUNS/CELL/suite.log). OUT holds the publishable
    files of each cell: results.json, config.json, log and audit. RUNS holds checkpoints and predictions. To repeat one
    cell: python train.py --config OUT/CELL/config.json.
    """

    suite: str = "mini"
    """mini: the seven potentials (small), baselines, SO3LR, four tasks and fission, data/mini. cpu: standard data, the
    hints too, two seeds, controls, priors, few-shot training. accurate: three potentials, MACE with a prior and SO3LR,
    more training frames, ten times the minutes of cpu; accurate_standard: on fusion and combination; accurate_chain:
    on alkanes, three times. contacts: MACE on one task, with and without pairs of molecules. ensemble: three seeds of
    MACE in one run. paper: the published sizes on a GPU, five seeds at once."""

    data: Path | None = None
    """Folder of the data set. Without it: the suite's own."""

    out: Path | None = None
    """Folder for results. Without it: results/SUITE."""

    runs: Path | None = None
    """Folder for run folders. Without it: runs/SUITE."""

    minutes: float | None = None
    """Minutes of training per cell (on a CPU, of processor time), without compilation and validation. Without it: the
    suite's."""

    workers: int = 0
    """Concurrent cells, each on its share of the cores. 0: one per core, or a single one with a GPU or TPU."""

    only: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Cells whose name this regular expression fits, e.g. mace or "^fragment_fusion-mace"; may be repeated."""

    dry_run: bool = False
    """Show the cells with their known steps, time and memory, and stop."""


def run(arguments: Arguments) -> None:
    """Show the plan or carry it out."""
    from compbench_jax.errors import RunError
    from compbench_jax.labelling.workers import default_workers
    from compbench_jax.runtime import runs_on_cpu
    from compbench_jax.store.store import open_store
    from compbench_jax.suites.cells import choose, get_suite
    from compbench_jax.suites.plan import open_plan
    from compbench_jax.suites.runner import run_cells
    from compbench_jax.suites.work import Place

    suite = get_suite(arguments.suite)
    data = arguments.data or Path(suite.data)
    suite = replace(suite, minutes=arguments.minutes if arguments.minutes is not None else suite.minutes)
    if not suite.minutes > 0:
        raise RunError(f"--minutes is {suite.minutes}: give a number above 0")
    if arguments.workers < 0:
        raise RunError(f"--workers is {arguments.workers}: give 1 or more, or 0 for one per core")
    import os

    workers = arguments.workers or (default_workers() if runs_on_cpu(os.environ) else 1)
    cells = choose(suite.cells(), arguments.only)
    store = open_store(data)
    place = Place(
        data, arguments.runs or Path("runs") / arguments.suite, arguments.out or Path("results") / arguments.suite
    )
    settings = {"suite": arguments.suite, "minutes": suite.minutes, "data_hash": store.hash, "workers": workers}
    plan = open_plan(place.out, settings | {"hardware": hardware()})
    if arguments.dry_run:
        show_plan(cells, suite, place, plan, workers)
        return
    if plan.settings["workers"] != workers:
        print(
            f"note: speeds so far were measured with {plan.settings['workers']} workers; their steps stay",
            file=sys.stderr,
        )
    outcome = run_cells(cells, place, plan, workers, lambda line: print(line, file=sys.stderr, flush=True))
    if outcome.stopped is not None:
        print("stopped, everything saved: run the same command to go on", file=sys.stderr)
        sys.exit(128 + outcome.stopped)
    if outcome.failed:
        names = ", ".join(outcome.failed)
        raise RunError(
            f"{len(outcome.failed)} of {len(cells)} cells failed ({names}): see suite.log in their folders under "
            f"{place.runs}, then run the same command again"
        )
    print(f"all {len(cells)} cells are done: compbench table {place.out}/*/results.json")


def hardware() -> str:
    """Processor and cores, for the plan."""
    from compbench_jax.evaluation.provenance import processor_name
    from compbench_jax.labelling.workers import default_workers

    return f"{processor_name()}, {default_workers()} cores"


OVERHEAD_MINUTES = 3.0
"""Approximate minutes of start, compilation, validations and evaluation of a cell, in addition to its training."""


def show_plan(cells: "tuple[Cell, ...]", suite: "Suite", place: "Place", plan: "Plan", workers: int) -> None:
    """Print the cells, the expected time and memory of each, and what is left."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from compbench_jax.suites.plan import key

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, title=f"{suite.about} ({escape(str(place.data))})")
    table.add_column("cell", overflow="fold")
    table.add_column("kind", no_wrap=True)
    for name in ("steps", "min", "GB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    left = 0.0
    for cell in cells:
        done = place.is_done(cell)
        known = plan.speeds.get(key(cell), {})
        minutes = OVERHEAD_MINUTES + (suite.minutes if cell.takes_steps else 0.0)
        left += 0.0 if done else minutes
        steps = plan.steps(cell) if cell.takes_steps else None
        memory = known.get("memory_gb")
        shown = "?" if cell.takes_steps and steps is None else "" if steps is None else f"{steps:,}"
        gigabytes = f"{memory:.1f}" if memory else "?"
        table.add_row(escape(cell.name), cell.kind, shown, f"{minutes:.0f}", gigabytes, "done" if done else "")
    Console(highlight=False).print(table)
    open_cells = sum(not place.is_done(cell) for cell in cells)
    print(
        f"{open_cells} of {len(cells)} cells are left: about {left / workers / 60:.1f} hours with {workers} at a time. "
        f"Results go to {place.out}, runs to {place.runs}. Steps and memory (?) are measured as the first cells start."
    )
