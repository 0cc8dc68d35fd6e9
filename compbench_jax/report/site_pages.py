"""What stands on the pages of a report, as plain values for the templates."""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.breakdowns import BREAKDOWNS
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.evaluation.showcase import FILE as SHOWCASE
from compbench_jax.files import read_json
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.report import charts
from compbench_jax.report.depict import drawing
from compbench_jax.report.findings_material import mean_curve
from compbench_jax.report.leaderboard import Row, tasks_of
from compbench_jax.report.spread_charts import calibration, sparsification
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


def table_row(site: "Site", row: Row) -> Page:
    """One row of a table of scores."""
    estimates = {part: row.estimate(part) for part in ("id", "ood", "ratio")}
    note = [f"{len(row.sources)} seeds"] if len(row.sources) > 1 else []
    note += ["calculator"] if row.kind == "foreign" else []
    note += ["partial: frames are missing"] if row.partial else []
    note += [row.other] if row.other else []
    tasks = {r.task for r in site.rows if "(" not in r.task}  # without controls, which few have
    own = len({r.task for r in site.of_model(row.model)} & tasks)
    note += [f"partial: {own} of {len(tasks)} tasks"] if own < len(tasks) and row.task in tasks else []
    cosine = row.estimate("ood", "force_cosine").value
    energy = row.estimate("ood", "energy_mae_centred_per_atom").value
    return {
        "task": row.task,
        "model": row.model,
        "task_file": site.files["task", row.task],
        "model_file": site.files["model", row.model],
        "note": ", ".join(note),
        "best": row.best,
        "tied": row.tied,
        "id": cell(estimates["id"].value, estimates["id"], MEV),
        "ood": cell(estimates["ood"].value, estimates["ood"], MEV),
        "ratio": cell(estimates["ratio"].value, estimates["ratio"]),
        "cosine": cell(cosine, digits=".4f"),
        "energy": cell(energy),
        "parameters": cell(row.parameters, digits=",.0f"),
        "speed": cell(row.speed),
    }


def index_page(site: "Site") -> Page:
    """The leaderboard."""
    glance = [
        {
            "task": task,
            "file": site.files["task", task],
            "question": site.about[task].question if task in site.about else "",
            "figure": charts.escape_names(charts.dumbbells(site.of_task(task))),
        }
        for task in tasks_of(site.rows)
    ]
    rows = sorted(site.rows, key=lambda row: (tasks_of(site.rows).index(row.task), row.estimate("ood").value or 1e9))
    return {
        "page": "index",
        "title": "Leaderboard",
        "headline": headline(site.rows),
        "glance": glance,
        "rows": [table_row(site, row) for row in rows],
    }


def headline(rows: Sequence[Row]) -> str:
    """The results in a sentence: how much larger OOD errors are, and which model has the smallest."""
    ratios = [row.estimate("ratio").value for row in rows if row.kind not in ("foreign", "zero-shot")]
    known = [value for value in ratios if value is not None]
    tasks = tasks_of(rows)
    text = f"{len({row.model for row in rows})} potentials on {len(tasks)} task{'s' * (len(tasks) != 1)}. "
    if known:
        text += (
            f"Force errors on unseen molecules are {significant(min(known), 2)} to {significant(max(known), 2)} times "
            f"those on unseen frames of training molecules (median {significant(statistics.median(known), 2)}). "
        )
    wins: dict[str, int] = {}
    for row in rows:
        if row.best:
            wins[row.model] = wins.get(row.model, 0) + 1
    if wins:
        winner = max(wins, key=lambda model: wins[model])
        text += f"Lowest OOD force error on {wins[winner]} of {len(tasks)}: {winner}."
    return text


def task_page(site: "Site", task: str) -> Page:
    """One task."""
    rows = sorted(site.of_task(task), key=lambda row: row.estimate("ood").value or 1e9)
    about = site.about.get(task)
    shown = [item for item in BREAKDOWNS.values() if item.name not in ("n", "distance_element")]
    figures = ((item, charts.breakdown(rows, f"by_{item.name}", "ood", item.title)) for item in shown)
    shows = ((row, first(read_beside(source.folder / SHOWCASE) for source in row.sources)) for row in rows)
    return {
        "page": "task",
        "title": task,
        "task": task,
        "about": about,
        "rows": [table_row(site, row) for row in rows],
        "metrics": metric_rows(rows),
        "by_n": escaped(charts.by_n(rows)),
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
    novelty = audit["first_novelty"]
    text = (
        "No atom environment of the OOD molecules is unseen up to radius 4."
        if novelty is None
        else f"Atom environments absent from training begin at a radius of {novelty} bond{'s' * (novelty != 1)}. "
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
    if not path.exists():
        return None
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
    return {
        "page": "model",
        "title": model,
        "model": model,
        "citation": site.citations.get(model, ""),
        "rows": [table_row(site, row) for row in rows],
        "curves": escaped(charts.training_curves(curves)) if curves else None,
        "spread": spread_charts_of(rows),
        "worst": worst,
        "viewer": bool(worst),
        "arrow": f"{ARROW:g}",
        "settings": [{"task": row.task, "pairs": settings_of(row)} for row in rows],
    }


def spread_charts_of(rows: Sequence[Row]) -> list[Page]:
    """Calibration and sparsification of the forces of every ensemble among the rows."""
    found = []
    for row in rows:
        spread = first(source.results.get("members", {}).get("uncertainty") for source in row.sources)
        if spread is not None:
            pair = {"calibration": calibration(spread), "sparsification": sparsification(spread)}
            found.append({"task": row.task, "n": spread["n_members"], **pair})
    return found


def worst_frames(rows: Sequence[Row]) -> list[Page]:
    """Frames with the largest force errors: of each task the worst of the OOD set and of the ID set."""
    found = []
    for row in rows:
        show = first(read_beside(source.folder / SHOWCASE) for source in row.sources)
        for part, most in (("ood", 2), ("id", 1)):
            for frame in (show or {"worst": {}})["worst"].get(part, [])[:most]:
                content = {key: frame[key] for key in ("numbers", "positions", "label", "prediction")}
                found.append(
                    {
                        "name": frame["name"],
                        "task": row.task,
                        "set": part.upper(),
                        "mae": significant(MEV * frame["force_mae"]),
                        "frame": {**content, "scale": 1.0 / ARROW},
                    }
                )
    return found


def settings_of(row: Row) -> list[tuple[str, str]]:
    """Configuration, versions and hardware of a row's first run."""
    run = row.group.runs[0]
    flat = flatten({"config": dict(run["config"]), "versions": run["versions"], "hardware": run["hardware"]})
    return [(key.removeprefix("config."), json.dumps(value, ensure_ascii=False)) for key, value in flat.items()]
