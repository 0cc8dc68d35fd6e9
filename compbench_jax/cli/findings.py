"""``compbench findings``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Tables and figures of a grid's results: tables into marked parts of pages and as CSV, figures into a folder.

    compbench findings results/mini --page docs/findings.md --figures docs/findings --tables docs/findings

    In a page, only the text between <!-- compbench: NAME --> and <!-- end --> is replaced. Without a page or folder the
    tables are printed, each under its NAME.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Files results.json, folders that hold one, or folders of such folders, including controls."""

    page: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Page in Markdown to write the tables into; can be given several times."""

    of: str = ""
    """Fill the parts <!-- compbench: NAME of LABEL --> of the pages, with this LABEL, and no others."""

    figures: Path | None = None
    """Folder to draw the figures into (png)."""

    only: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Figure to draw, e.g. few_shot; can be given several times. Without it: all that there are results for."""

    tables: Path | None = None
    """Folder to write every table into (NAME.csv), with a column for each number."""


def run(arguments: Arguments) -> None:
    """Write or print."""
    from compbench_jax.cli.main import commands_in_markdown
    from compbench_jax.cli.validate import problems_alone
    from compbench_jax.files import save
    from compbench_jax.report.findings import DEFINITIONS, findings
    from compbench_jax.report.findings_figures import draw_findings
    from compbench_jax.report.findings_material import material
    from compbench_jax.report.leaderboard import read_sources
    from compbench_jax.report.pages import csv_of, fill_page
    from compbench_jax.report.site_published import published_facts
    from compbench_jax.report.summary_figure import draw_summary
    from compbench_jax.tasks import ALL_TASKS, MAIN_TASKS

    found = material(read_sources(arguments.results, problems_alone), list(ALL_TASKS), published_facts(), MAIN_TASKS)
    blocks = findings(found) | {"commands": commands_in_markdown()}
    for page in arguments.page:
        print(f"{page}: {'written' if fill_page(page, blocks, arguments.of) else 'as it was'}")
    if not arguments.page and arguments.figures is None and arguments.tables is None:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in blocks.items()))
    if arguments.figures is not None:
        for path in draw_findings(found, arguments.figures, arguments.only):
            print(path)
        if not arguments.only:
            main = [ALL_TASKS[kind].from_parameters([]) for kind in MAIN_TASKS]
            print(draw_summary(found, main, arguments.figures / "summary.png"))
    if arguments.tables is not None:
        for name, text in blocks.items():
            if name not in (*DEFINITIONS, "commands") and (table := csv_of(text)) is not None:
                save(arguments.tables / f"{name}.csv", table.encode())
                print(arguments.tables / f"{name}.csv")
