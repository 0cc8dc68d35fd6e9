"""A report: a folder of pages that opens offline in any browser, built from results.json files."""

import datetime
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from compbench_jax._version import __version__
from compbench_jax.errors import RunError, optional_import
from compbench_jax.files import write_atomically
from compbench_jax.report import site_pages, site_published
from compbench_jax.report.leaderboard import Row, models_of, slug, tasks_of

ASSETS = ("style.css", "site.js", "theme.js", "3Dmol-min.js", "3Dmol-LICENSE.txt")
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
        files: page of every task (``"task", name``) and model (``"model", name``).
    """

    rows: list[Row]
    about: Mapping[str, TaskText]
    citations: Mapping[str, str]
    files: Mapping[tuple[str, str], str]

    def of_task(self, task: str) -> list[Row]:
        """Its rows."""
        return [row for row in self.rows if row.task == task]

    def of_model(self, model: str) -> list[Row]:
        """Its rows."""
        return [row for row in self.rows if row.model == model]


def build_site(rows: list[Row], out: Path, about: Mapping[str, TaskText], citations: Mapping[str, str]) -> list[Path]:
    """Write the report.

    Args:
        rows: of the leaderboard.
        out: folder, made if need be; an earlier report in it is replaced.
        about: what the tasks say of themselves, by canonical name.
        citations: of the presets.

    Returns:
        the pages, the leaderboard first.

    Raises:
        RunError: the folder holds something else, or a file next to the results is damaged.
        CompBenchError: jinja2 or plotly is not installed.
    """
    jinja2: Any = optional_import("jinja2", "report", "building the report")
    plotly: Any = optional_import("plotly.offline", "report", "building the report")
    site = Site(rows, about, citations, page_files(rows))
    prepare_folder(out)
    loader = jinja2.FunctionLoader(lambda name: _text("templates", name))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["embed"] = lambda value: environment_markup(jinja2, value)
    nav = {
        "tasks": [{"name": name, "file": site.files["task", name]} for name in tasks_of(rows)],
        "models": [{"name": name, "file": site.files["model", name]} for name in models_of(rows)],
    }
    shared = {
        "nav": nav,
        "version": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "n_results": sum(len(row.sources) for row in rows),
        "plotly": True,
        "viewer": False,
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
    assets = out / "assets"
    assets.mkdir(exist_ok=True)
    for name in ASSETS:
        write_atomically(assets / name, files("compbench_jax.report").joinpath("assets", name).read_bytes())
    write_atomically(assets / "plotly.min.js", plotly.get_plotlyjs().encode())
    return written


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
        for page in out.glob("*.html"):
            page.unlink()
        shutil.rmtree(out / "assets", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()


def environment_markup(jinja2: Any, value: Any) -> Any:
    """JSON that can stand in a script element: nothing in it ends the element or begins a comment."""
    markup: Any = optional_import("markupsafe", "report", "building the report")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return markup.Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _text(folder: str, name: str) -> str:
    return files("compbench_jax.report").joinpath(folder, name).read_text(encoding="utf-8")
