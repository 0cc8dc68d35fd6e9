"""``compbench describe``."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console


@dataclass(frozen=True)
class Arguments:
    """Statistics of a data set: forces, energies, torsions, autocorrelation of successive frames, coverage of the sets.

    Works for every data set, generated or imported.
    """

    data: tyro.conf.Positional[Path]
    """Folder of the data set."""

    out: Path | None = None
    """Folder for statistics.json and statistics.png, created if missing. Without it: the tables only."""

    json: bool = False
    """Print the statistics as JSON instead of tables."""

    seed: int = 0
    """Seed of the random splits of segments that the overlap of the two sets is compared with."""


def run(arguments: Arguments) -> None:
    """Compute, print, write."""
    from compbench_jax.errors import CompBenchError
    from compbench_jax.files import save
    from compbench_jax.report.store_figure import store_figure
    from compbench_jax.report.store_table import correlation_table, family_table, summary
    from compbench_jax.store.statistics import statistics_json, store_statistics
    from compbench_jax.store.store import open_store

    statistics = store_statistics(open_store(arguments.data, checksums=True), arguments.seed)
    if arguments.json:
        print(statistics_json(statistics), end="")
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=WIDTH)
        console.print(f"{arguments.data}: {summary(statistics)}", markup=False, soft_wrap=True)
        for table in (family_table(statistics), correlation_table(statistics)):
            console.print(table)
    if arguments.out is None:
        return
    report = Console(stderr=True, highlight=False)
    save(arguments.out / "statistics.json", statistics_json(statistics).encode())
    written = [str(arguments.out / "statistics.json")]
    try:
        written.append(str(store_figure(statistics, arguments.out / "statistics.png")))
    except CompBenchError as error:  # the figures stand without a picture
        report.print(f"no picture: {error}", markup=False)
    report.print("written: " + ", ".join(written), markup=False, soft_wrap=True)


WIDTH = 118
"""Columns of tables that go to a file; a terminal says its own."""
