"""What stands on the pages of a report, as plain values for the templates."""

import functools
import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.breakdowns import BREAKDOWNS
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.evaluation.showcase import FILE as SHOWCASE
from compbench_jax.files import read_json
from compbench_jax.foundation.registry import FOUNDATIONS
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.report import charts
from compbench_jax.report.depict import drawing
from compbench_jax.report.ensemble_charts import calibration, sparsification
from compbench_jax.report.findings_material import mean_curve
from compbench_jax.report.leaderboard import Row, models_of, slug, tasks_of
from compbench_jax.report.poster import poster
from compbench_jax.report.submission import SCHEMAS, schema_problems
from compbench_jax.report.table import MARK, MEV, is_marked, significant, with_interval
from compbench_jax.training.configuration import flatten

if TYPE_CHECKING:
    from compbench_jax.report.site import Site

Page = dict[str, Any]

ARROW = 1.0
"""eV/Å that an arrow of 1 Å stands for."""


def cell(value: float | None, interval: Estimate | None = None, scale: float = 1.0, digits: str = "") -> Page:
    """A number of a table: text, interval, and the raw value that sorting goes by."""
    show = (lambda x: f"{scale * x:{digits}}") if digits else (lambda x: significant(scale * x))
    text = "–" if value is None else show(value)
    bounds = ""
    if interval is not None and interval.low is not None and interval.high is not None:
        bounds = f"{show(interval.low)} – {show(interval.high)}"
    return {"value": text, "interval": bounds, "raw": "" if value is None else repr(float(value))}


COLUMNS = (
    ("id", "ID", "Force MAE on unseen frames of the training molecules, meV/Å"),
    ("ood", "OOD", "Force MAE on unseen molecules made of known fragments, meV/Å"),
    ("ratio", "OOD / ID", "Force MAE on unseen molecules relative to that on training molecules"),
    ("cosine", "cosine OOD", "Mean cosine between predicted and reference forces on unseen molecules; 1 is perfect"),
    ("energy", "energy OOD", "Energy MAE on unseen molecules, each molecule's mean subtracted, meV per atom"),
)
COST = (
    ("parameters", "parameters", "Trainable parameters"),
    ("training", "training structures/s", "Structures per second in training, on the hardware of the run"),
    ("inference", "inference structures/s", "Structures per second in evaluation by one process, where results say it"),
)
"""Columns of tables: key, heading, and what it means."""

KIND_NOTES = {
    "trained": "trained here from random parameters",
    "fine-tuned": "pre-trained, then trained on the task",
    "zero-shot": "pre-trained, not trained on the task",
    "semi-empirical": "a semi-empirical method of quantum chemistry",
    "baseline": "fitted in closed form",
    "calculator": "another calculator",
}
"""Kinds in the order of their filters."""

SEMI_EMPIRICAL = frozenset(("tblite", "xtb", "dftb", "dftbplus", "mopac"))
"""Modules of calculators that are semi-empirical methods."""

SHOWN = 4
"""Models that figures show at first."""


def shown_kind(row: Row) -> str:
    """One of :data:`KIND_NOTES`."""
    if row.kind != "foreign":
        return row.kind
    path = str(row.group.runs[0]["config"]["model"].get("import_path", ""))
    if any(path == item.calculator for item in FOUNDATIONS.values()):
        return "zero-shot"
    return "semi-empirical" if SEMI_EMPIRICAL & set(re.split(r"\W+", path.lower())) else "calculator"


def cost_cells(row: Row) -> dict[str, Page]:
    """Cells of :data:`COST`."""
    return {
        "parameters": cell(row.parameters, digits=",.0f"),
        "training": cell(row.speed),
        "inference": cell(row.inference),
    }


def table_row(site: "Site", row: Row) -> Page:
    """One row of a table of scores."""
    estimates = {part: row.estimate(part) for part in ("id", "ood", "ratio")}
    note = [shown_kind(row)]
    note += [f"{len(row.sources)} seeds"] if len(row.sources) > 1 else []
    note += ["partial: frames are missing"] if row.partial else []
    note += [row.other] if row.other else []
    cells = {
        "id": cell(estimates["id"].value, estimates["id"], MEV),
        "ood": cell(estimates["ood"].value, estimates["ood"], MEV),
        "ratio": cell(estimates["ratio"].value, estimates["ratio"]),
        "cosine": cell(row.estimate("ood", "force_cosine").value, digits=".4f"),
        "energy": cell(row.estimate("ood", "energy_mae_centred_per_atom").value),
    }
    return {
        "task": row.task,
        "model": row.model,
        "task_file": site.files["task", row.task],
        "model_file": site.files["model", row.model],
        "note": ", ".join(note),
        "best": row.best,
        "tied": row.tied,
        "cells": cells | cost_cells(row),
    }


def index_page(site: "Site") -> Page:
    """The leaderboard: tasks as pictures, then a table of models and tasks."""
    tasks = tasks_of(site.rows)
    rows = [matrix_row(site, model, tasks) for model in models_of(site.rows)]
    rows.sort(key=lambda row: float(row["mean"]["raw"] or "inf"))
    return {
        "page": "index",
        "title": "Leaderboard",
        "headline": site.headline,
        "tasks": [{**task_intro(site, task), "slug": slug(task)} for task in tasks],
        "kinds": [(kind, note) for kind, note in KIND_NOTES.items() if any(row["kind"] == kind for row in rows)],
        "costs": COST,
        "rows": rows,
        "scale": [significant(10**end) for end in error_scale(site.rows)],
        "downloads": site.downloads,
    }


def task_intro(site: "Site", task: str) -> Page:
    """What a task asks, and its picture: a molecule of each training family, and of each OOD family."""
    about = site.about.get(task)
    blocks = site.of_task(task)[0].group.runs[0]["by_molecule"]
    picture = {}
    for part, most in (("id", 3), ("ood", 2)):
        families: dict[str, list[Any]] = {}
        for item in blocks.get(part, {}).values():
            families.setdefault(item["family"] or item["name"], []).append(item)
        chosen = [own[len(own) // 2] for own in families.values()][:most]
        picture[part] = [{"name": item["name"], "svg": svg(item["smiles"])} for item in chosen]
    return {"task": task, "file": site.files["task", task], "about": about, "picture_of": picture}


def error_scale(rows: Sequence[Row]) -> tuple[float, float]:
    """Logarithms of the smallest and largest force MAE, meV/Å."""
    ends = [MEV * value for row in rows for part in ("id", "ood") if (value := row.estimate(part).value)]
    return (math.log10(min(ends)), math.log10(max(ends))) if ends else (0.0, 1.0)


def matrix_row(site: "Site", model: str, tasks: Sequence[str]) -> Page:
    """A model across tasks; its mean is the geometric one over the tasks without brackets of controls, all or none."""
    own = site.of_model(model)
    low, high = error_scale(site.rows)
    cells: list[Page | None] = []
    for task in tasks:
        row = min((r for r in own if r.task == task), key=lambda r: bool(r.partial or r.other), default=None)
        if row is None:
            cells.append(None)
            continue
        places = [
            f"{100 * (math.log10(MEV * value) - low) / max(high - low, 1e-9):.1f}" if value else None
            for value in (row.estimate("id").value, row.estimate("ood").value)
        ]
        cells.append(
            {
                "id": cell(row.estimate("id").value, scale=MEV),
                "ood": cell(row.estimate("ood").value, scale=MEV),
                "ratio": cell(row.estimate("ratio").value),
                "bar": places if None not in places else None,
                "best": row.best,
                "tied": row.tied,
                "note": "partial" if row.partial else row.other,
            }
        )
    plain = [task for task in tasks if "(" not in task]
    known = {row.task: row.estimate("ood").value for row in own if not row.partial and not row.other}
    values = [value for task in plain if (value := known.get(task))]
    first_row = own[0]
    about = first_row.sources[0].submission
    return {
        "model": model,
        "file": site.files["model", model],
        "kind": shown_kind(first_row),
        "note": f"partial: {len(values)} of {len(plain)} tasks" if len(values) < len(plain) else "",
        "about": about.get("description", ""),
        "cells": cells,
        "mean": cell(statistics.geometric_mean(values) if values and len(values) == len(plain) else None, scale=MEV),
        "cost": {
            "parameters": cell(first_row.parameters, digits=",.0f"),
            "training": cell(median_of(row.speed for row in own)),
            "inference": cell(median_of(row.inference for row in own)),
        },
    }


def median_of(values: Iterable[float | None]) -> float | None:
    """The median of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def model_series(site: "Site", rows: Sequence[Row]) -> Page:
    """The models of a page's figures, and those shown at first: the best of each kind, then the next best."""
    order = sorted(rows, key=lambda row: row.estimate("ood").value or math.inf)
    leading = {shown_kind(row): row for row in reversed(order)}.values()
    chosen = [row for row in order if row in leading] + [row for row in order if row not in leading]
    names = list(dict.fromkeys(row.model for row in order))
    return series(site.look, names, list(dict.fromkeys(row.model for row in chosen))[:SHOWN], "models")


def series(look: Mapping[str, charts.Look], names: Sequence[str], shown: Sequence[str], key: str) -> Page:
    """What a page's figures can show, in order, and what they show at first; ``key`` is its word in addresses."""
    entries = [{"name": name, "look": look[name]} for name in names]
    return {"key": key, "entries": entries, "shown": [look[name].key for name in names if name in shown]}


def task_page(site: "Site", task: str) -> Page:
    """One task."""
    rows = sorted(site.of_task(task), key=lambda row: row.estimate("ood").value or 1e9)
    shown = [item for item in BREAKDOWNS.values() if item.name not in ("n", "distance_element")]
    figures = ((item, charts.breakdown(rows, site.look, f"by_{item.name}", "ood", item.title)) for item in shown)
    shows = ((row, first(read_beside(source.folder / SHOWCASE) for source in row.sources)) for row in rows)
    return {
        "page": "task",
        "title": task,
        **task_intro(site, task),
        "rows": [table_row(site, row) for row in rows],
        "columns": (*COLUMNS, *COST),
        "metrics": metric_rows(rows),
        "series": model_series(site, rows),
        "by_n": escaped(charts.by_n(rows, site.look)),
        "breakdowns": [
            {"title": item.title, "text": item.note, "figure": escaped(figure)} for item, figure in figures if figure
        ],
        "parity": [
            {"model": row.model, "forces": charts.parity(show, "forces"), "energy": charts.parity(show, "energy")}
            for row, show in shows
            if show is not None
        ],
        "audit": audit_part(rows),
        "molecules": molecule_lists(rows),
    }


def metric_rows(rows: Sequence[Row]) -> Page:
    """Every metric of every model on one task, ID → OOD."""
    shown = [metric for metric in METRICS.values() if metric.listed]
    body = []
    for row in rows:
        cells = []
        for metric in shown:
            pair = [Estimate(row.estimate(part, metric.name).value) for part in ("id", "ood")]
            mark = MARK if is_marked(row.group.runs[0], metric.name) else ""
            cells.append(" → ".join(with_interval(item, metric.scale, metric.decimals) for item in pair) + mark)
        body.append({"model": row.label, "cells": cells})
    heads = [{"label": metric.heading.strip(), "note": metric.note} for metric in shown]
    return {"heads": heads, "rows": body, "marked": any(MARK in cell for item in body for cell in item["cells"])}


def escaped(figure: charts.Figure | None) -> charts.Figure | None:
    """See :func:`charts.escape_names`."""
    return None if figure is None else charts.escape_names(figure)


def first(items: Iterable[Any]) -> Any:
    """The first that is not None."""
    return next((item for item in items if item is not None), None)


def audit_part(rows: Sequence[Row]) -> Page | None:
    """The audit of the split, from the first run that has it, and the receptive field of each model."""
    audits = [(row, first(read_beside(source.folder / "audit.json") for source in row.sources)) for row in rows]
    audit = first(audit for _, audit in audits)
    if audit is None:
        return None
    radius = audit["first_novelty"]
    text = (
        "No atom environment of the OOD molecules is unseen up to radius 4."
        if radius is None
        else f"Atom environments absent from training begin at a radius of {radius} bond{'s' * (radius != 1)}. "
    )
    if audit.get("novel_contact_fraction"):
        percent = f"{100 * audit['novel_contact_fraction']:.0f}%"
        text += f"{percent} of the OOD frames have a contact between groups that training lacks. "
    if audit.get("touching"):
        text += f"Fragments touch in {', '.join(audit['touching'])}. "
    text += "The split is sound." if not audit["failures"] else "NOT SOUND: " + "; ".join(audit["failures"])
    reach = [
        {"model": row.model, **{key: f"{own['receptive_field'][key]:g}" for key in ("layers", "cutoff", "reach")}}
        for row, own in audits
        if own and own.get("receptive_field") and row.kind != "foreign"
    ]
    return {"text": text, "figure": charts.radius_profile(audit), "reach": reach}


def read_beside(path: Path) -> Any:
    """A JSON file next to results that has a schema, None where there is none.

    Raises:
        CompBenchError: it is damaged, or jsonschema is not installed.
    """
    return _read_beside(path, path.stat().st_mtime_ns) if path.exists() else None


@functools.lru_cache(maxsize=1000)
def _read_beside(path: Path, _changed: int) -> Any:
    """Once for all pages, as long as the file stays as it is."""
    content = read_json(path)
    problems = schema_problems(content, SCHEMAS[path.name])
    if problems:
        raise RunError(f"{path} is damaged ({problems[0]}): evaluate again or take it out of the folder")
    return content


def molecule_lists(rows: Sequence[Row]) -> list[Page]:
    """Molecules trained on and tested on, drawn where RDKit is installed."""
    blocks = rows[0].group.runs[0]["by_molecule"]
    lists = []
    for part, title in (("id", "Trained on"), ("ood", "Tested on, not trained on")):
        items = [{"name": item["name"], "svg": svg(item["smiles"])} for item in blocks.get(part, {}).values()]
        lists.append({"title": f"{title} ({len(items)})", "entries": items})
    return lists


_DRAWN: dict[str, str] = {}


def svg(smiles: str) -> str:
    """A drawing, once for each molecule; empty without RDKit."""
    if smiles not in _DRAWN:
        try:
            _DRAWN[smiles] = drawing(smiles)
        except CompBenchError:
            _DRAWN[smiles] = ""
    return _DRAWN[smiles]


def model_page(site: "Site", model: str) -> Page:
    """One model."""
    rows = site.of_model(model)
    curves = {}
    for row in rows:
        curve = mean_curve(row)
        if curve is not None:
            curves[row.task] = (curve.step.tolist(), curve.id.tolist(), curve.ood.tolist())
    worst = worst_frames(rows)
    entry = rows[0].sources[0].submission
    return {
        "page": "model",
        "title": model,
        "model": model,
        "kind": shown_kind(rows[0]),
        "kind_note": KIND_NOTES[shown_kind(rows[0])],
        "citation": site.citations.get(rows[0].group.runs[0]["config"].get("preset"), ""),
        "entry": {key: entry.get(key, "") for key in ("description", "pretraining", "url")},
        "rows": [table_row(site, row) for row in rows],
        "columns": (*COLUMNS, *COST),
        "curves": escaped(charts.training_curves(curves, site.look)) if curves else None,
        "series": series(site.look, list(curves), list(curves)[:SHOWN], "tasks"),
        "uncertainty": ensemble_charts_of(rows),
        "worst": worst,
        "arrow": f"{ARROW:g}",
        "settings": [{"task": row.task, "pairs": settings_of(row)} for row in rows],
    }


def ensemble_charts_of(rows: Sequence[Row]) -> list[Page]:
    """Calibration and sparsification of the forces of every ensemble among the rows."""
    found = []
    for row in rows:
        uncertainty = first(source.results.get("members", {}).get("uncertainty") for source in row.sources)
        if uncertainty is not None:
            pair = {"calibration": calibration(uncertainty), "sparsification": sparsification(uncertainty)}
            found.append({"task": row.task, "n": uncertainty["n_members"], **pair})
    return found


def worst_frames(rows: Sequence[Row]) -> list[Page]:
    """Frames with the largest force errors: of each task the worst of the OOD set and of the ID set."""
    found = []
    for row in rows:
        show = first(read_beside(source.folder / SHOWCASE) for source in row.sources)
        for part, most in (("ood", 2), ("id", 1)):
            for frame in (show or {"worst": {}})["worst"].get(part, [])[:most]:
                content = {key: frame[key] for key in ("numbers", "positions", "label", "prediction")}
                if len({len(item) for item in content.values()}) > 1 or not frame["numbers"]:
                    raise RunError(f"{row.sources[0].folder / SHOWCASE} has a frame of lists of different lengths")
                found.append(
                    {
                        "name": frame["name"],
                        "task": row.task,
                        "set": part.upper(),
                        "mae": significant(MEV * frame["force_mae"]),
                        "poster": poster(frame),
                        "frame": {**content, "scale": 1.0 / ARROW},
                    }
                )
    return found


def settings_of(row: Row) -> list[tuple[str, str]]:
    """Configuration, versions and hardware of a row's first run."""
    run = row.group.runs[0]
    flat = flatten({"config": dict(run["config"]), "versions": run["versions"], "hardware": run["hardware"]})
    return [(key.removeprefix("config."), json.dumps(value, ensure_ascii=False)) for key, value in flat.items()]
