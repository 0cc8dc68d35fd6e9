"""``compbench report``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Build a report: a folder of pages that opens offline in any browser.

    compbench report results/mini --out report

    The leaderboard, models by tasks, with filters and downloads; a page for every task (scores, error against chain
    length, error breakdown, parity, audit) and for every model (scores, training, worst frames in 3-D); published
    numbers compared with ours. --csv, --latex and --figures write the same for papers.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Files results.json, folders that hold one, submissions, or folders of such folders.

    Submissions that `compbench validate` refuses are left out and listed.
    """

    out: Path = Path("report")
    """Folder of the report; an earlier report in it is replaced."""

    csv: Path | None = None
    """Also write all metrics, with intervals, to this CSV file (eV, eV/Å)."""

    latex: Path | None = None
    """Also write the leaderboard as a LaTeX table (booktabs) to this file."""

    figures: Path | None = None
    """Also write the figures as PDF (matplotlib) into this folder."""


def run(arguments: Arguments) -> None:
    """Build it."""
    from compbench_jax.cli.validate import problems_alone
    from compbench_jax.errors import CompBenchError
    from compbench_jax.models.registry import presets
    from compbench_jax.report.exports import write_csv, write_figures, write_latex
    from compbench_jax.report.leaderboard import leaderboard, read_sources, tasks_of
    from compbench_jax.report.site import TaskText, build_site
    from compbench_jax.tasks import ALL_TASKS, CONTROLS, MAIN_TASKS, get_task

    sources = read_sources(arguments.results, problems_alone)
    rows = leaderboard(sources, [*ALL_TASKS, *CONTROLS])
    about = {}
    for name in tasks_of(rows):
        try:
            task = get_task(name, files=False)
        except CompBenchError:  # a task of somebody else's
            continue
        about[name] = TaskText(
            task.question, task.principle, task.in_words(task.trained_on), task.in_words(task.tested_on)
        )
    citations = {name: config.citation for name, config in presets().items() if hasattr(config, "citation")}
    pages = build_site(rows, arguments.out, about, citations, MAIN_TASKS, list(ALL_TASKS))
    if arguments.csv is not None:
        write_csv(arguments.csv, rows)
    if arguments.latex is not None:
        write_latex(arguments.latex, rows)
    if arguments.figures is not None:
        write_figures(arguments.figures, rows)
    print(f"{len(pages)} pages from {len(sources)} results: open {pages[0]}")
