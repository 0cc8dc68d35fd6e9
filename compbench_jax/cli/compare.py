"""``compbench compare``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Compare two evaluated models on the same frames: which is better, or that they are not significantly different.

    Differences are B − A: below zero, B is better (except for cosines and shares within threshold). Intervals and p
    values are of a t test of the differences of molecules, with the variance between seeds. Also prints the OOD errors
    at equal ID error, from the training curves.
    """

    run_a: tyro.conf.Positional[Path]
    """Folder of run A (or its results.json)."""

    run_b: tyro.conf.Positional[Path]
    """Folder of run B (or its results.json)."""

    more_a: tuple[Path, ...] = ()
    """Further runs of A that differ in their seed only."""

    more_b: tuple[Path, ...] = ()
    """Further runs of B that differ in their seed only."""


def run(arguments: Arguments) -> None:
    """Print the comparison."""
    from rich.console import Console

    from compbench_jax.report.comparison import matched_line, paired, paired_table, verdict
    from compbench_jax.report.runs import read_runs
    from compbench_jax.report.terminal import WIDTH

    sides = (arguments.run_a, *arguments.more_a), (arguments.run_b, *arguments.more_b)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    a, b = ([results for _, results in read_runs(paths)] for paths in sides)
    found = paired(a, b)
    console.print(paired_table(a, b, found, console.width))
    console.print()
    for part in ("id", "ood", "ratio"):
        console.print(verdict(found, part), markup=False, soft_wrap=True)
    folders = [path.parent if path.is_file() else path for path in (arguments.run_a, arguments.run_b)]
    console.print(matched_line(folders), markup=False, soft_wrap=True)
