"""``compbench compare``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Compare two evaluated runs on the same frames: paired bootstrap over molecules, and OOD at matched ID
    error.

    Differences are B − A: below zero, B is better (but for cosines and shares within threshold). An interval
    that leaves out zero is a difference that the choice of molecules does not explain.
    """

    run_a: tyro.conf.Positional[Path]
    """Folder of run A (or its results.json)."""

    run_b: tyro.conf.Positional[Path]
    """Folder of run B (or its results.json)."""

    samples: int = 1000
    """Bootstrap draws."""

    seed: int = 0
    """Of the draws."""


def run(arguments: Arguments) -> None:
    """Print the comparison."""
    from rich.console import Console

    from compbench_jax.errors import RunError
    from compbench_jax.evaluation.results import read_results
    from compbench_jax.report.comparison import matched_line, paired_table

    if arguments.samples < 1 or arguments.seed < 0:
        raise RunError(
            f"--samples {arguments.samples} --seed {arguments.seed}: give 1 or more draws, and a seed of 0 or more"
        )
    paths = arguments.run_a, arguments.run_b
    console = Console(highlight=False)
    a, b = (read_results(path) for path in paths)
    console.print(paired_table(a, b, arguments.samples, arguments.seed))
    console.print(matched_line([path.parent if path.is_file() else path for path in paths]))
