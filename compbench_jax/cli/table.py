"""``compbench table``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """One table from several results.json: task × model, with ID, OOD and their ratio.

    Runs of one model on one task that differ in their seed only are one row: mean over seeds, interval over molecules
    and seeds.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Files results.json, or the folders of runs that hold them."""

    markdown: bool = False
    """Print the table in Markdown, for a README."""


def run(arguments: Arguments) -> None:
    """Print the table."""
    from rich.console import Console

    from compbench_jax.errors import RunError
    from compbench_jax.evaluation.derived import read_results
    from compbench_jax.report.table import across_table, markdown_table

    if not arguments.results:
        raise RunError("no results are given: name one results.json or more, e.g. compbench table runs/*/results.json")
    results = [read_results(path) for path in arguments.results]
    if arguments.markdown:
        print(markdown_table(results), end="")
    else:
        console = Console(highlight=False)
        console.print(across_table(results, console.width))
