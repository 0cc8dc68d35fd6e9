"""What ``evaluate.py`` shows on the terminal: a bar while it works, then tables, and where everything is."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from rich import progress as bars
from rich.console import Console

from compbench_jax.errors import CompBenchError
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.result_file import FILE
from compbench_jax.report.ensemble_table import ensemble_table
from compbench_jax.report.figure import force_mae_figure
from compbench_jax.report.sentence import finding
from compbench_jax.report.table import metric_table, n_table, where_table

FIGURE = "force_mae_by_n.png"
WIDTH = 118
"""Columns of a report that goes to a file; a terminal says its own."""


class Progress:
    """A bar of predicted frames on standard error, shown on a terminal only. Called with frames done and
    frames in all.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            bars.TextColumn("frames"),
            bars.BarColumn(None),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
        )
        self.bar = bars.Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task("frames", total=None)

    def __enter__(self) -> "Progress":
        """Begin to show."""
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar."""
        self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Frames done so far, of how many."""
        self.bar.update(self.task, completed=done, total=total)


def report(results: Derived, out: Path, places: Mapping[str, Path], console: Console | None = None) -> None:
    """Print the tables of one evaluation, draw its figure, say where everything is, and what was found.

    Args:
        results: contents of ``results.json``, already written to ``out``.
        out: folder for the figure.
        places: other files and folders to name.
        console: where to print; standard output by default.
    """
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=WIDTH)
    by_n = [n_table(results)] if "by_n" in results else []  # none of the molecules is in the registry otherwise
    for table in (metric_table(results, console.width), *by_n, where_table(results)):
        console.print(table)
        console.print()
    if "uncertainty" in results.get("members", {}):
        console.print(ensemble_table(results["members"]["uncertainty"]))
        console.print()
    if "last_layer" in results:
        console.print(ensemble_table(results["last_layer"]))
        console.print()
    figure: Path | str
    try:
        figure = force_mae_figure([results], out / FIGURE)
    except CompBenchError as error:  # the numbers stand without a picture
        figure = f"not drawn: {error}"
    for name, place in {"results": out / FILE, "figure": figure, **places}.items():
        console.print(f"{name + ':':<13}{place}", markup=False, soft_wrap=True)
    console.print(f"\n{finding(results)}", markup=False, soft_wrap=True)
