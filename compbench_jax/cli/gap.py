"""``compbench gap``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """The compositional gap: (OOD error − that of a random split) / that of training on the OOD molecules too.

    Give the evaluated runs of a task, of its control_random and of its oracle, as `python train.py --with-controls` and
    `python evaluate.py --with-controls` make them; several seeds, deals, models and tasks at once are sorted out.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of evaluated runs (or their results.json)."""

    samples: int = 1000
    """Bootstrap draws behind every interval."""

    seed: int = 0
    """Of the draws."""


def run(arguments: Arguments) -> None:
    """Print a table for each model and task."""
    from rich.console import Console

    from compbench_jax.errors import RunError
    from compbench_jax.report.gap import gap_of, gap_table, trios_of
    from compbench_jax.report.runs import read_copies
    from compbench_jax.report.terminal import WIDTH

    if not arguments.results:
        raise RunError("no results are given: name runs of a task, its control_random and its oracle")
    if arguments.samples < 1 or arguments.seed < 0:
        raise RunError(
            f"--samples {arguments.samples} --seed {arguments.seed}: give 1 or more draws, and a seed of 0 or more"
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    for trio in trios_of([results for _, results in read_copies(arguments.results)]):
        console.print(gap_table(trio, gap_of(trio, arguments.samples, arguments.seed), console.width))
        console.print()
