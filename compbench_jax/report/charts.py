"""The figures of a report as Plotly's JSON: data and layout only; colours of text and grid are the page's."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compbench_jax.evaluation.blocks import estimate_of
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.report.leaderboard import METRIC, Row, slug

MEV = 1000.0
ID, OOD = "#0072B2", "#D55E00"
"""Blue and vermilion of Okabe & Ito, distinguishable under every common colour blindness."""
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#7A5BA6", "#6B7280", "#B5445B",
    "#7BA428", "#8C564B",
)  # fmt: skip
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x", "cross", "star")
"""Their number has no common multiple with that of the colours below 24 models."""

Figure = dict[str, Any]

_MARKS = [base * 10**power for power in range(-2, 4) for base in (1, 2, 3, 5)]
TICKS: Figure = {"tickvals": _MARKS, "ticktext": [f"{mark:g}" for mark in _MARKS]}
"""Marks of a logarithmic axis, close enough for ranges below a decade."""

FORCE_MAE = "force MAE (meV/Å)"


@dataclass(frozen=True)
class Look:
    """What a model, or a task, has in every figure of a site.

    Attributes:
        key: that the page shows and hides its traces by.
        colour: of lines, marks and bars.
        symbol: of marks.
    """

    key: str
    colour: str
    symbol: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name."""
    return {
        name: Look(slug(name), PALETTE[k % len(PALETTE)], SYMBOLS[k % len(SYMBOLS)]) for k, name in enumerate(names)
    }


def layout_of(x: Figure, y: Figure, title: str, height: int = 340) -> Figure:
    """A layout whose y axis is named above it, so that the name takes no width; legends are the page's."""
    return {
        "xaxis": {"automargin": True, **x},
        "yaxis": {"automargin": True, **y},
        "title": {"text": title, "x": 0, "xref": "container", "xanchor": "left", "y": 0.97, "yanchor": "top"},
        "height": height,
        "margin": {"l": 44, "r": 12, "t": 34, "b": 44},
    }


def error_bar(values: Sequence[Estimate], scale: float, axis: str) -> Figure:
    """Asymmetric bars of the intervals; none where an estimate has none."""
    up = [0.0 if e.high is None or e.value is None else round(scale * (e.high - e.value), 3) for e in values]
    down = [0.0 if e.low is None or e.value is None else round(scale * (e.value - e.low), 3) for e in values]
    return {f"error_{axis}": {"type": "data", "array": up, "arrayminus": down, "thickness": 1.2, "width": 0}}


def scaled(estimate: Estimate, scale: float = MEV) -> float | None:
    """Value in the unit shown."""
    return None if estimate.value is None else float(f"{scale * estimate.value:.4g}")


def over_seeds(row: Row, key: str, part: str) -> dict[str, Estimate]:
    """Force MAE of the labels of one breakdown of ``results.json``, in their order.

    Of one run with its interval; of several the mean, and only labels that all of them have.
    """
    runs = [run.get(key, {}).get(part, {}) for run in row.group.runs]
    found = {label: [estimate_of(run.get(label, {}), METRIC) for run in runs] for label in runs[0]}
    if len(runs) == 1:
        return {label: item for label, (item,) in found.items() if item.value is not None}
    values = {label: [item.value for item in items if item.value is not None] for label, items in found.items()}
    return {label: Estimate(statistics.fmean(item)) for label, item in values.items() if len(item) == len(runs)}


def by_n(rows: Sequence[Row], look: Mapping[str, Look]) -> Figure | None:
    """Force MAE against the number of carbons, the range trained on shaded; None for molecules without n."""
    data: list[Figure] = []
    trained = sorted({int(n) for row in rows for n in row.group.runs[0].get("train", {}).get("n", [])})
    for row in rows:
        own = look[row.model]
        for part, dash, end in (("id", "solid", ""), ("ood", "dot", "-open")):
            line = {int(n): item for n, item in over_seeds(row, "by_n", part).items()}
            if not line:
                continue
            ns = sorted(line)
            data.append(
                {"type": "scatter", "mode": "lines+markers", "name": f"{row.label}, {part.upper()}", "meta": own.key,
                 "x": ns, "y": [scaled(line[n]) for n in ns],
                 "line": {"color": own.colour, "dash": dash, "width": 2},
                 "marker": {"symbol": own.symbol + end, "size": 8},
                 "hovertemplate": f"{_plain(row.label)}, {part.upper()}, n = %{{x}}: %{{y:.3g}} meV/Å<extra></extra>"}
            )  # fmt: skip
    if not data:
        return None
    ns = [n for trace in data for n in trace["x"]]
    layout = layout_of(
        {"title": {"text": "carbons n"}, "dtick": 1 if max(ns) - min(ns) < 14 else 2},
        {"type": "log", **TICKS},
        FORCE_MAE,
        400,
    )
    layout["shapes"] = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": first - 0.5, "x1": last + 0.5, "y0": 0, "y1": 1,
         "fillcolor": ID, "opacity": 0.1, "line": {"width": 0}, "layer": "below"}
        for first, last in _runs(trained)
    ]  # fmt: skip
    return {"data": data, "layout": layout}


def breakdown(rows: Sequence[Row], look: Mapping[str, Look], key: str, part: str, axis: str) -> Figure | None:
    """Force MAE of one breakdown of ``results.json`` on one set, grouped by label; None where there is none."""
    found = [over_seeds(row, key, part) for row in rows]
    labels = list(dict.fromkeys(label for own in found for label in own))
    data = []
    for row, own in zip(rows, found, strict=True):
        if not own:
            continue
        values = [own.get(label, Estimate(None)) for label in labels]
        data.append(
            {"type": "bar", "name": row.label, "meta": look[row.model].key, "x": labels,
             "y": [scaled(value) for value in values], "marker": {"color": look[row.model].colour},
             **error_bar(values, MEV, "y"),
             "hovertemplate": f"{_plain(row.label)}, %{{x}}: %{{y:.3g}} meV/Å<extra></extra>"}
        )  # fmt: skip
    layout = layout_of({"title": {"text": axis}, "type": "category"}, {"rangemode": "tozero"}, FORCE_MAE, 300)
    return {"data": data, "layout": layout | {"barmode": "group"}} if data else None


def radius_profile(audit: Mapping[str, Any]) -> Figure:
    """Divergence of the OOD molecules from train by the radius of atom environments, and that of random splits."""
    profile = audit["profile"]
    radius = [row["radius"] for row in profile]
    rows = (
        ("atom divergence D<sub>A</sub>", "atom_divergence", PALETTE[2], "square"),
        ("compound divergence D<sub>C</sub>", "compound_divergence", OOD, "diamond"),
        ("unseen mass ν", "novel_mass", PALETTE[3], "triangle-up"),
    )
    data: list[Figure] = [
        {"type": "scatter", "mode": "lines+markers", "name": name, "x": radius, "y": [row[key] for row in profile],
         "line": {"color": colour, "width": 2}, "marker": {"symbol": symbol, "size": 8},
         "hovertemplate": f"{name}, radius %{{x}}: %{{y:.3f}}<extra></extra>"}
        for name, key, colour, symbol in rows
    ]  # fmt: skip
    if all(row.get("random_mean") is not None for row in profile):
        data.append(
            {"type": "scatter", "mode": "lines+markers", "name": "D<sub>C</sub> of random splits", "x": radius,
             "y": [row["random_mean"] for row in profile], "line": {"color": "#6B7280", "dash": "dot"},
             "marker": {"symbol": "circle-open"},
             "error_y": {"type": "data", "array": [row["random_std"] for row in profile], "thickness": 1.2},
             "hovertemplate": "random splits, radius %{x}: %{y:.3f}<extra></extra>"}
        )  # fmt: skip
    layout = layout_of(
        {"title": {"text": "radius of atom environments (bonds)"}, "dtick": 1},
        {"rangemode": "tozero"},
        "0: as in training, 1: nothing in common",
    )
    return {"data": data, "layout": layout}


PARITY_POINTS = 400
"""Points of a set that a figure shows, evenly taken from those of a showcase."""


def parity(content: Mapping[str, Any], quantity: str) -> Figure:
    """Predictions against labels, ID and OOD, of ``"forces"`` (meV/Å) or ``"energy"`` (meV, conformational)."""
    unit = "meV/Å" if quantity == "forces" else "meV"
    data: list[Figure] = []
    everything: list[float] = []
    for part, colour, symbol in (("ood", OOD, "diamond"), ("id", ID, "circle")):
        points = content["parity"].get(part, {}).get(quantity)
        if not points or not points["label"]:
            continue
        every = -(-len(points["label"]) // PARITY_POINTS)
        labels, predictions = points["label"][::every], points["prediction"][::every]
        everything += [*labels, *predictions]
        data.append(
            {"type": "scatter", "mode": "markers", "name": part.upper(), "x": labels, "y": predictions,
             "marker": {"color": colour, "size": 5, "opacity": 0.55, "symbol": symbol},
             "hovertemplate": f"label %{{x:.0f}}, predicted %{{y:.0f}} {unit}<extra>{part.upper()}</extra>"}
        )  # fmt: skip
    low, high = (min(everything), max(everything)) if everything else (0.0, 1.0)
    data.append(
        {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "hoverinfo": "skip",
         "line": {"color": "#6B7280", "width": 1}, "showlegend": False}
    )  # fmt: skip
    return {"data": data, "layout": layout_of({"title": {"text": f"label ({unit})"}}, {}, f"prediction ({unit})", 360)}


def training_curves(
    curves: Mapping[str, tuple[Sequence[int], Sequence[float], Sequence[float]]], look: Mapping[str, Look]
) -> Figure:
    """Monitored ID and OOD force MAE against the step, one pair of lines per task."""
    data = [
        {"type": "scatter", "mode": "lines", "name": f"{task}, {part}", "meta": look[task].key, "x": list(steps),
         "y": [None if value is None else float(f"{MEV * value:.4g}") for value in values],
         "line": {"color": look[task].colour, "dash": dash, "width": 2},
         "hovertemplate": f"{_plain(task)}, {part}, step %{{x}}: %{{y:.3g}} meV/Å<extra></extra>"}
        for task, (steps, inside, outside) in curves.items()
        for values, dash, part in ((inside, "solid", "ID"), (outside, "dot", "OOD"))
    ]  # fmt: skip
    layout = layout_of({"title": {"text": "optimiser step"}, "nticks": 6}, {"type": "log", **TICKS}, FORCE_MAE, 400)
    return {"data": data, "layout": layout}


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Stretches of consecutive numbers."""
    found: list[tuple[int, int]] = []
    for n in numbers:
        if found and n == found[-1][1] + 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def _plain(text: str) -> str:
    """Text for Plotly, which reads a few HTML tags and %{…} in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")


def escape_names(figure: Figure) -> Figure:
    """The figure with names and categories that come from results made harmless to Plotly's markup."""
    for trace in figure["data"]:
        if isinstance(trace.get("name"), str):
            trace["name"] = _plain(trace["name"])
        for key in ("x", "y"):
            if isinstance(trace.get(key), list):
                trace[key] = [_plain(v) if isinstance(v, str) else v for v in trace[key]]
    return figure
