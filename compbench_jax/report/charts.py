"""The figures of a report as Plotly's JSON: data and layout only; colours of text and grid are the page's."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from compbench_jax.evaluation.blocks import estimate_of
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.report.leaderboard import METRIC, Row

MEV = 1000.0
ID, OOD = "#0072B2", "#D55E00"
"""Blue and vermilion of Okabe & Ito, distinguishable under every common colour blindness."""
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#7A5BA6", "#6B7280", "#B5445B")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "x", "cross", "star", "pentagon", "hexagon")

Figure = dict[str, Any]

_MARKS = [base * 10**power for power in range(-2, 4) for base in (1, 2, 3, 5, 7)]
TICKS: Figure = {"tickvals": _MARKS, "ticktext": [f"{mark:g}" for mark in _MARKS]}
"""Marks of a logarithmic axis, close enough for ranges below a decade."""


def error_bar(values: Sequence[Estimate], scale: float, axis: str) -> Figure:
    """Asymmetric bars of the intervals; none where an estimate has none."""
    up = [0.0 if e.high is None or e.value is None else scale * (e.high - e.value) for e in values]
    down = [0.0 if e.low is None or e.value is None else scale * (e.value - e.low) for e in values]
    return {f"error_{axis}": {"type": "data", "array": up, "arrayminus": down, "thickness": 1.2, "width": 0}}


def scaled(estimate: Estimate, scale: float = MEV) -> float | None:
    """Value in the unit shown."""
    return None if estimate.value is None else scale * estimate.value


def dumbbells(rows: Sequence[Row]) -> Figure:
    """ID and OOD force MAE of every model on one task, best OOD at the top, on a logarithmic axis."""
    order = sorted(rows, key=lambda row: row.estimate("ood").value or float("inf"))
    names = [row.label for row in order]
    data: list[Figure] = []
    for row in order:
        ends = [scaled(row.estimate(part)) for part in ("id", "ood")]
        data.append(
            {"type": "scatter", "mode": "lines", "x": ends, "y": [row.label] * 2, "hoverinfo": "skip",
             "line": {"color": "#9ca3af", "width": 2}, "showlegend": False}
        )  # fmt: skip
    for part, name, colour in (("id", "ID", ID), ("ood", "OOD", OOD)):
        values = [row.estimate(part) for row in order]
        data.append(
            {"type": "scatter", "mode": "markers", "name": name, "x": [scaled(v) for v in values], "y": names,
             "marker": {"color": colour, "size": 10, "symbol": "circle" if part == "id" else "diamond"},
             **error_bar(values, MEV, "x"), "hovertemplate": f"%{{y}}, {name}: %{{x:.3g}} meV/Å<extra></extra>"}
        )  # fmt: skip
    layout = {
        "xaxis": {"type": "log", "title": {"text": "force MAE (meV/Å)"}, **TICKS},
        "yaxis": {"automargin": True, "range": [len(order) - 0.5, -0.5]},
        "height": 110 + 34 * len(order),
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 10, "r": 16, "t": 40, "b": 50},
    }
    return {"data": data, "layout": layout}


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


def by_n(rows: Sequence[Row]) -> Figure | None:
    """Force MAE against the number of carbons, the range trained on shaded; None for molecules without n."""
    data: list[Figure] = []
    trained = sorted({int(n) for row in rows for n in row.group.runs[0].get("train", {}).get("n", [])})
    for index, row in enumerate(rows):
        lines = {part: {int(n): item for n, item in over_seeds(row, "by_n", part).items()} for part in ("id", "ood")}
        for part, dash, fill in (("id", "solid", True), ("ood", "dot", False)):
            own = lines[part]
            if not own:
                continue
            ns = sorted(own)
            symbol = SYMBOLS[(index + index // len(PALETTE)) % len(SYMBOLS)]  # another one where colours come again
            data.append(
                {"type": "scatter", "mode": "lines+markers", "name": row.label, "legendgroup": row.label,
                 "showlegend": fill or not lines["id"], "x": ns, "y": [scaled(own[n]) for n in ns],
                 "line": {"color": PALETTE[index % len(PALETTE)], "dash": dash, "width": 2},
                 "marker": {"symbol": symbol if fill else f"{symbol}-open", "size": 8},
                 "hovertemplate": f"{_plain(row.label)}, {part.upper()}, n = %{{x}}: %{{y:.3g}} meV/Å<extra></extra>"}
            )  # fmt: skip
    if not data:
        return None
    shapes = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": first - 0.5, "x1": last + 0.5, "y0": 0, "y1": 1,
         "fillcolor": ID, "opacity": 0.08, "line": {"width": 0}, "layer": "below"}
        for first, last in _runs(trained)
    ]  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "number of carbons n (shaded: trained on)"}, "dtick": 1},
        "yaxis": {"type": "log", "title": {"text": "force MAE (meV/Å)"}, **TICKS},
        "shapes": shapes,
        "height": 420,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 60, "b": 50},
    }
    return {"data": data, "layout": layout}


def breakdown(rows: Sequence[Row], key: str, part: str, axis: str) -> Figure | None:
    """Force MAE of one breakdown of ``results.json`` on one set, grouped by label; None where there is none."""
    found = [over_seeds(row, key, part) for row in rows]
    labels = list(dict.fromkeys(label for own in found for label in own))
    data = []
    for index, (row, own) in enumerate(zip(rows, found, strict=True)):
        if not own:
            continue
        values = [own.get(label, Estimate(None)) for label in labels]
        data.append(
            {"type": "bar", "name": row.label, "x": labels, "y": [scaled(value) for value in values],
             "marker": {"color": PALETTE[index % len(PALETTE)]}, **error_bar(values, MEV, "y"),
             "hovertemplate": f"{_plain(row.label)}, %{{x}}: %{{y:.3g}} meV/Å<extra></extra>"}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": axis}, "type": "category"},
        "yaxis": {"title": {"text": "force MAE (meV/Å)"}, "rangemode": "tozero"},
        "barmode": "group",
        "height": 340,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 60, "b": 50},
    }
    return {"data": data, "layout": layout} if data else None


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
    layout = {
        "xaxis": {"title": {"text": "radius of atom environments (bonds)"}, "dtick": 1},
        "yaxis": {"title": {"text": "0: as in train, 1: nothing in common"}, "rangemode": "tozero"},
        "height": 380,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 80, "b": 50},
    }
    return {"data": data, "layout": layout}


def parity(content: Mapping[str, Any], quantity: str) -> Figure:
    """Predictions against labels, ID and OOD, of ``"forces"`` (meV/Å) or ``"energy"`` (meV, conformational)."""
    unit = "meV/Å" if quantity == "forces" else "meV"
    what = "force component" if quantity == "forces" else "conformational energy"
    data: list[Figure] = []
    everything: list[float] = []
    for part, colour, symbol in (("ood", OOD, "diamond"), ("id", ID, "circle")):
        points = content["parity"].get(part, {}).get(quantity)
        if not points or not points["label"]:
            continue
        everything += [*points["label"], *points["prediction"]]
        data.append(
            {"type": "scattergl" if len(points["label"]) > 5000 else "scatter", "mode": "markers", "name": part.upper(),
             "x": points["label"], "y": points["prediction"],
             "marker": {"color": colour, "size": 5, "opacity": 0.55, "symbol": symbol},
             "hovertemplate": f"label %{{x:.0f}}, predicted %{{y:.0f}} {unit}<extra>{part.upper()}</extra>"}
        )  # fmt: skip
    low, high = (min(everything), max(everything)) if everything else (0.0, 1.0)
    data.append(
        {"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "hoverinfo": "skip",
         "line": {"color": "#6B7280", "width": 1}, "showlegend": False}
    )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": f"label: {what} ({unit})"}},
        "yaxis": {"title": {"text": f"prediction ({unit})"}},
        "height": 400,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 70, "r": 16, "t": 40, "b": 50},
    }
    return {"data": data, "layout": layout}


def training_curves(curves: Mapping[str, tuple[Sequence[int], Sequence[float], Sequence[float]]]) -> Figure:
    """Monitored ID and OOD force MAE against the step, one pair of lines per task."""
    data = []
    for index, (task, (steps, inside, outside)) in enumerate(curves.items()):
        for values, dash, part in ((inside, "solid", "ID"), (outside, "dot", "OOD")):
            data.append(
                {"type": "scatter", "mode": "lines", "name": f"{task}, {part}", "x": list(steps),
                 "y": [_mev(v) for v in values],
                 "line": {"color": PALETTE[index % len(PALETTE)], "dash": dash, "width": 2},
                 "hovertemplate": f"{_plain(task)}, {part}, step %{{x}}: %{{y:.3g}} meV/Å<extra></extra>"}
            )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "optimiser step"}},
        "yaxis": {"type": "log", "title": {"text": "force MAE (meV/Å)"}, **TICKS},
        "height": 480,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 60, "r": 16, "t": 40, "b": 50},
    }
    return {"data": data, "layout": layout}


def _mev(value: float | None) -> float | None:
    return None if value is None else MEV * value


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
