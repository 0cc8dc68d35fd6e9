"""A report: a folder of pages that opens offline in any browser, built from results.json files."""

import datetime
import functools
import json
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from compbench_jax._version import __version__
from compbench_jax.errors import RunError, optional_import
from compbench_jax.files import write_atomically
from compbench_jax.report import charts, site_pages, site_published
from compbench_jax.report.exports import write_csv
from compbench_jax.report.findings import BLOCKS
from compbench_jax.report.findings_material import NOTHING, Material, gaps_of
from compbench_jax.report.leaderboard import Row, as_records, models_of, slug, tasks_of
from compbench_jax.report.overview import overview_figure

ASSETS = ("style.css", "site.js", "theme.js", "3Dmol-min.js", "3Dmol-LICENSE.txt")
DOWNLOADS = {"CSV": "leaderboard.csv", "JSON": "leaderboard.json", "PNG": "leaderboard.png"}
HEADLINE = "key"
"""Block of findings that the README begins with, and the report as well."""

LINKS = {"Repository": "Repository", "Documentation": "Docs", "Paper": "Paper"}
"""Names of the project's addresses in ``pyproject.toml``, and how pages call them."""

PAPER = "https://arxiv.org/abs/2605.08988"
MARKER = ".compbench-report"
"""Lies in every report: a folder without it, and not empty, is not overwritten."""


@dataclass(frozen=True)
class TaskText:
    """What a task says of itself."""

    question: str
    principle: str
    trained_on: str
    tested_on: str


@dataclass(frozen=True, eq=False)
class Site:
    """Everything that pages are made of.

    Attributes:
        rows: of the leaderboard.
        about: texts of the tasks by name.
        citations: of the models by name.
        headline: the main result in Markdown; empty where there is none.
        files: page of every task (``"task", name``) and model (``"model", name``).
    """

    rows: list[Row]
    about: Mapping[str, TaskText]
    citations: Mapping[str, str]
    headline: str
    files: Mapping[tuple[str, str], str]

    @functools.cached_property
    def look(self) -> dict[str, charts.Look]:
        """Of every model and task in figures."""
        return charts.looks(models_of(self.rows)) | charts.looks(tasks_of(self.rows))

    @property
    def downloads(self) -> dict[str, str]:
        """Files of the leaderboard by format; a picture only where there is something to draw."""
        drawn = any(row.estimate("id").value and row.estimate("ood").value for row in self.rows)
        return {name: file for name, file in DOWNLOADS.items() if drawn or name != "PNG"}

    def of_task(self, task: str) -> list[Row]:
        """Its rows."""
        return [row for row in self.rows if row.task == task]

    def of_model(self, model: str) -> list[Row]:
        """Its rows."""
        return [row for row in self.rows if row.model == model]


def build_site(
    rows: list[Row],
    out: Path,
    about: Mapping[str, TaskText],
    citations: Mapping[str, str],
    main: Collection[str],
    order: Sequence[str] = (),
) -> list[Path]:
    """Write the report.

    Args:
        rows: of the leaderboard.
        out: folder, made if need be; an earlier report in it is replaced.
        about: what the tasks say of themselves, by canonical name.
        citations: of the presets.
        main: kinds of the tasks of the headline.
        order: kinds of tasks in the order to show them.

    Returns:
        the pages, the leaderboard first.

    Raises:
        RunError: the folder holds something else, or a file next to the results is damaged.
        CompBenchError: jinja2, plotly or matplotlib is not installed.
    """
    jinja2: Any = optional_import("jinja2", "report", "building the report")
    plotly: Any = optional_import("plotly.offline", "report", "building the report")
    site = Site(rows, about, citations, main_result(rows, main, order), page_files(rows))
    prepare_folder(out)
    loader = jinja2.FunctionLoader(lambda name: _text("templates", name))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"embed": embedded, "markdown": from_markdown, "breakable": breakable, "slug": slug}
    nav = {
        "tasks": [{"name": name, "file": site.files["task", name]} for name in tasks_of(rows)],
        "models": [{"name": name, "file": site.files["model", name]} for name in models_of(rows)],
    }
    shared = {
        "nav": nav,
        "version": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "n_results": sum(len(row.sources) for row in rows),
        "links": project_links(),
    }
    pages = [("index.html", "index.html.j2", site_pages.index_page(site))]
    pages += [(site.files["task", task], "task.html.j2", site_pages.task_page(site, task)) for task in tasks_of(rows)]
    pages += [
        (site.files["model", model], "model.html.j2", site_pages.model_page(site, model)) for model in models_of(rows)
    ]
    facts = site_published.published_facts()
    pages.append(("published.html", "published.html.j2", site_published.published_page(site, facts)))
    written = []
    for name, template, content in pages:
        html = environment.get_template(template).render({**shared, **content})
        write_atomically(out / name, html.encode())
        written.append(out / name)
    write_csv(out / DOWNLOADS["CSV"], rows)
    write_atomically(out / DOWNLOADS["JSON"], json.dumps(as_records(rows), indent=1, ensure_ascii=False).encode())
    if "PNG" in site.downloads:
        overview_figure(rows, out / DOWNLOADS["PNG"])
    assets = out / "assets"
    assets.mkdir(exist_ok=True)
    for name in ASSETS:
        write_atomically(assets / name, files("compbench_jax.report").joinpath("assets", name).read_bytes())
    write_atomically(assets / "plotly.min.js", plotly.get_plotlyjs().encode())
    return written


def main_result(rows: Sequence[Row], main: Collection[str], order: Sequence[str]) -> str:
    """:data:`HEADLINE` of these rows; empty where nothing was trained."""
    plain = [row for row in rows if row.sources[0].results["role"] in ("task", "pretraining")]
    gaps = gaps_of((source for row in rows for source in row.sources), order)
    text = BLOCKS[HEADLINE](Material(plain, gaps, {}, frozenset(main)))
    return "" if text == NOTHING else text


def project_links() -> dict[str, str]:
    """Addresses outside the report by name: those in ``pyproject.toml``, and the paper's."""
    try:
        lines = metadata.metadata("compbench_jax").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        lines = []
    known = {"Paper": PAPER} | dict(line.split(", ", 1) for line in lines)
    return {shown: known[name] for name, shown in LINKS.items() if name in known}


def page_files(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """File of the page of every task and model."""
    found: dict[tuple[str, str], str] = {}
    for kind, names in (("task", tasks_of(rows)), ("model", models_of(rows))):
        for name in names:
            file = stem = f"{kind}-{slug(name)}"
            count = 1
            while f"{file}.html" in found.values():
                count += 1
                file = f"{stem}-{count}"
            found[kind, name] = f"{file}.html"
    return found


def prepare_folder(out: Path) -> None:
    """Make the folder, or empty it of an earlier report.

    Raises:
        RunError: it holds something that is no report.
    """
    if out.exists():
        if not out.is_dir():
            raise RunError(f"--out {out} is a file: give a folder")
        if any(out.iterdir()) and not (out / MARKER).exists():
            raise RunError(f"--out {out} holds other files: give a new folder, so that nothing of yours is overwritten")
        for path in (*out.glob("*.html"), *(out / name for name in DOWNLOADS.values())):
            path.unlink(missing_ok=True)
        shutil.rmtree(out / "assets", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()


def embedded(value: Any) -> Any:
    """JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return _markup().Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def from_markdown(text: str) -> Any:
    """Markdown of one sentence, or of a list of them, with ``code`` and with **bold**, which is left out here."""
    safe = str(_markup().escape(text.replace("**", "")))
    lines = [re.sub(r"`([^`]*)`", lambda part: f"<code>{breakable(part[1], True)}</code>", line)
             for line in safe.splitlines() if line.strip()]  # fmt: skip
    listed = "".join(f"<li>{line.removeprefix('- ')}</li>" for line in lines)
    html = f'<ul class="lead">{listed}</ul>' if safe.startswith("- ") else f'<p class="lead">{" ".join(lines)}</p>'
    return _markup().Markup(html)


def breakable(text: str, safe: bool = False) -> Any:
    """The name of a task with places where lines may break: after ``_`` and commas, and before brackets."""
    escaped = text if safe else str(_markup().escape(text))
    return _markup().Markup(re.sub(r"([_,(])(?=\w)|(?=\[)", r"\1<wbr>", escaped))


def _markup() -> Any:
    return optional_import("markupsafe", "report", "building the report")


def _text(folder: str, name: str) -> str:
    return files("compbench_jax.report").joinpath(folder, name).read_text(encoding="utf-8")
