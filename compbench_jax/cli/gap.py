"""``compbench gap``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """The compositional gap: (OOD error − that of a random split) / that of training on the OOD molecules too.

    Give the evaluated runs of a task, of its control_random and of its oracle, as `python train.py --with-controls` and
    `python evaluate.py --with-controls` make them. Several seeds, random splits, models and tasks may be given at once.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of evaluated runs (or their results.json)."""


def run(arguments: Arguments) -> None:
    """Print a table for each model and task."""
    from rich.console import Console

    from compbench_jax.errors import RunError
    from compbench_jax.report.gap import controlled_runs, gap_of, gap_table
    from compbench_jax.report.runs import read_runs
    from compbench_jax.report.terminal import WIDTH

    if not arguments.results:
        raise RunError("no results are given: name runs of a task, its control_random and its oracle")
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    for controlled in controlled_runs([results for _, results in read_runs(arguments.results)]):
        console.print(gap_table(controlled, gap_of(controlled), console.width))
        console.print()
