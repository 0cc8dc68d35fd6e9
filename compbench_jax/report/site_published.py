"""The page of a report with the published numbers next to those of the same potentials here."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from compbench_jax.metrics.aggregate import SCORES
from compbench_jax.metrics.definitions import METRICS as DEFINITIONS
from compbench_jax.report import charts
from compbench_jax.report.leaderboard import Row
from compbench_jax.report.site_pages import Page, cell, model_series
from compbench_jax.report.table import significant

if TYPE_CHECKING:
    from compbench_jax.report.site import Site


def published_facts() -> dict[str, Any]:
    """The published numbers, from ``assets/published.json``."""
    text = files("compbench_jax.report").joinpath("assets", "published.json").read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)
    return facts


def published_page(site: "Site", facts: Mapping[str, Any]) -> Page:
    """The published numbers next to those of the same potentials here."""
    tables = []
    for table in facts["tables"]:
        ours = rows_of(site.rows, table)
        rows = [
            {"model": name, "cells": published_cells(table, name, ours.get(facts["models"][name]))}
            for name in table["rows"]
        ]
        tables.append(
            {**table, "metrics": [(title, DEFINITIONS[name].note) for title, _, name in METRICS], "rows": rows}
        )
    lengths, compared = [], []
    for item in facts["by_n"]:
        own = [row for row in site.rows if row.task in item["names"]]
        title = f"{item['task']}: error against n"
        lengths.append({**item, "title": title, "figure": published_by_n(item, own, site.look)})
        compared += own
    return {
        "page": "published",
        "title": "Published numbers",
        "facts": facts,
        "tables": tables,
        "lengths": lengths,
        "series": model_series(site, compared),
    }


METRICS = (
    ("force MAE", "force_mae_{}", "force_mae"),
    ("force cosine", "force_cosine_{}", "force_cosine"),
    ("magnitude MAE", "force_magnitude_mae_{}", "force_magnitude_mae"),
    ("energy MAE", "energy_mae_{}_eV", "energy_mae_raw"),
)
"""Metrics of a published table: title, its two columns there, its name here. Forces in eV/Å, energies in eV."""


def rows_of(rows: Sequence[Row], table: Mapping[str, Any]) -> dict[str, Row]:
    """The rows here on the task of a published table, by potential: that of the published size where there is one, then
    that of the lowest OOD error.

    Potentials go by their presets, since submissions have names of their own. One with a prior is another potential.
    """
    plain = [row for row in rows if row.group.runs[0]["config"].get("prior", "none") == "none"]
    fitting = [(preset_of(row), row) for row in plain if row.task in table["names"] and row.kind == "trained"]
    fitting.sort(key=lambda item: (item[0].endswith("-paper"), -(item[1].estimate("ood").value or float("inf"))))
    return {preset.removesuffix("-paper"): row for preset, row in fitting}


def preset_of(row: Row) -> str:
    """The preset that a row was trained from."""
    return str(row.group.runs[0]["config"].get("preset") or row.model)


def published_cells(table: Mapping[str, Any], name: str, row: Row | None) -> list[str]:
    """For every metric what was published and what was found here, ID → OOD; a dash where there is nothing."""
    values = dict(zip(table["columns"], table["rows"][name], strict=True))
    cells = []
    for _, column, metric in METRICS:
        inside, outside = (values[column.format(part)] for part in ("id", "ood"))
        own = [None] * 2 if row is None else [row.estimate(part, metric).value for part in ("id", "ood")]
        if metric in SCORES:
            cells += [f"{inside:.4f} → {outside:.4f}", " → ".join(cell(x, digits=".4f")["value"] for x in own)]
        else:
            ratio = None if None in own or row is None else row.estimate("ratio", metric).value
            cells.append(f"{inside:g} → {outside:g} ({significant(outside / inside, 2)})")
            cells.append(f"{significant(own[0])} → {significant(own[1])} ({significant(ratio, 2)})")
        if None in own:
            cells[-1] = "–"
    return cells


def published_by_n(
    item: Mapping[str, Any], rows: Sequence[Row], look: Mapping[str, charts.Look]
) -> charts.Figure | None:
    """Errors relative to the smallest n, to compare different trainings; the published line is always shown."""
    lines: list[tuple[str, dict[int, float], charts.Figure]] = [
        (f"{item['model']} (published)", {int(n): v for n, v in item["force_mae"].items()},
         {"line": {"color": "#6B7280", "width": 4}, "meta": None})
    ]  # fmt: skip
    for row in rows:
        found = charts.over_seeds(row, "by_n", "id") | charts.over_seeds(row, "by_n", "ood")
        own = {int(n): entry.value for n, entry in found.items() if entry.value}
        style = {"color": look[row.model].colour, "width": 2, "dash": "dot"}
        if own:
            lines.append((row.model, own, {"line": style, "meta": look[row.model].key}))
    data = []
    for name, values, style in lines:
        ns = sorted(values)
        relative = [float(f"{values[n] / values[ns[0]]:.4g}") for n in ns]
        data.append({"type": "scatter", "mode": "lines+markers", "name": name, "x": ns, "y": relative, **style})
    layout = charts.layout_of(
        {"title": {"text": "carbons n"}, "dtick": 1},
        {"type": "log", **charts.TICKS},
        "force MAE relative to the smallest n",
        400,
    )
    return charts.escape_names({"data": data, "layout": layout})
