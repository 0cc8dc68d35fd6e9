"""The page of a report with the published numbers beside those of the same potentials here."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from compbench_jax.report import charts
from compbench_jax.report.leaderboard import Row, kind_of_task
from compbench_jax.report.site_pages import Page, cell
from compbench_jax.report.table import significant

if TYPE_CHECKING:
    from compbench_jax.report.site import Site


def published_facts() -> dict[str, Any]:
    """The published numbers, from ``assets/published.json``."""
    text = files("compbench_jax.report").joinpath("assets", "published.json").read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)
    return facts


def published_page(site: "Site", facts: Mapping[str, Any]) -> Page:
    """The published numbers beside those of the same potentials here."""
    ours = {(kind_of_task(row.task), row.model.removesuffix("-paper")): row for row in site.rows}
    tables = []
    for table in facts["tables"]:
        place = {name: k for k, name in enumerate(table["columns"])}
        rows = []
        for name, values in table["rows"].items():
            row = ours.get((table["task"], facts["models"][name]))
            inside, outside = values[place["force_mae_id"]], values[place["force_mae_ood"]]
            rows.append(
                {
                    "model": name,
                    "published": f"{inside:g} → {outside:g} ({significant(outside / inside, 2)})",
                    "ours": "–" if row is None else _pair(row),
                    "cosine": f"{values[place['force_cosine_ood']]:.4f}",
                    "our_cosine": cosine_of(row),
                }
            )
        tables.append({"title": table["title"], "rows": rows})
    lengths = [
        {
            "title": f"{item['task']}: error against n",
            "text": f"Published: {item['model']}; {item['source']}. {item['note']}",
            "figure": published_by_n(item, [row for row in site.rows if kind_of_task(row.task) == item["task"]]),
        }
        for item in facts["by_n"]
    ]
    return {"page": "published", "title": "Published numbers", "facts": facts, "tables": tables, "lengths": lengths}


def cosine_of(row: Row | None) -> str:
    """OOD force cosine as text; a dash without a row."""
    value = None if row is None else row.estimate("ood", "force_cosine").value
    return str(cell(value, digits=".4f")["value"])


def _pair(row: Row) -> str:
    inside, outside, ratio = (row.estimate(part).value for part in ("id", "ood", "ratio"))
    return f"{significant(inside)} → {significant(outside)} ({significant(ratio, 2)})"


def published_by_n(item: Mapping[str, Any], rows: Sequence[Row]) -> charts.Figure | None:
    """Errors relative to the smallest n, so that different trainings can be looked at side by side."""
    lines: dict[str, dict[int, float]] = {item["model"]: {int(n): v for n, v in item["force_mae"].items()}}
    for row in rows:
        blocks = row.group.runs[0].get("by_n", {})
        own = {
            int(n): block["force_mae"]["value"]
            for part in ("id", "ood")
            for n, block in blocks.get(part, {}).items()
            if "force_mae" in block
        }
        if own:
            lines[f"{row.model} (here)"] = own
    data = []
    for index, (name, values) in enumerate(lines.items()):
        ns = sorted(values)
        base = values[ns[0]]
        data.append(
            {"type": "scatter", "mode": "lines+markers", "name": name, "x": ns, "y": [values[n] / base for n in ns],
             "line": {"color": charts.PALETTE[index % len(charts.PALETTE)], "width": 3 if index == 0 else 1.5,
                      "dash": "solid" if index == 0 else "dot"}}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "number of carbons n"}, "dtick": 1},
        "yaxis": {"title": {"text": "force MAE relative to the smallest n"}, "type": "log", "dtick": "D2"},
        "height": 420,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 80, "b": 50},
    }
    return charts.escape_names({"data": data, "layout": layout})
