"""Ensemble standard deviation and error, as Plotly's JSON: calibration and sparsification, ID and OOD."""

from collections.abc import Mapping
from typing import Any

from compbench_jax.report.charts import ID, MEV, OOD, TICKS, Figure, layout_of

PARTS = (("id", "ID", ID, "circle"), ("ood", "OOD", OOD, "diamond"))
UNITS = {"forces": "meV/Å", "energy": "meV"}


def calibration(uncertainty: Mapping[str, Any], quantity: str = "forces") -> Figure:
    """RMSE against ensemble standard deviation, of items binned by it; a calibrated ensemble is on the diagonal.

    Args:
        uncertainty: as in ``results["members"]["uncertainty"]``.
        quantity: ``"forces"`` (by atom) or ``"energy"`` (by frame).
    """
    data: list[Figure] = []
    everything: list[float] = []
    for part, name, colour, symbol in PARTS:
        curve = uncertainty[quantity][part]["calibration"]
        points = [(MEV * p, MEV * o) for p, o in zip(curve["predicted"], curve["observed"], strict=True) if p and o]
        everything += [value for point in points for value in point]
        data.append(
            {"type": "scatter", "mode": "lines+markers", "name": name, "x": [p for p, _ in points],
             "y": [o for _, o in points], "line": {"color": colour, "width": 2},
             "marker": {"symbol": symbol, "size": 8},
             "hovertemplate": f"σ %{{x:.3g}}, error %{{y:.3g}} {UNITS[quantity]}<extra>{name}</extra>"}
        )  # fmt: skip
    ends = [min(everything), max(everything)] if everything else [1.0, 10.0]
    data.append(
        {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip", "showlegend": False,
         "line": {"color": "#6B7280", "width": 1, "dash": "dot"}}
    )  # fmt: skip
    unit = UNITS[quantity]
    x = {"type": "log", "title": {"text": f"ensemble standard deviation σ ({unit})"}, **TICKS}
    layout = layout_of(x, {"type": "log", **TICKS}, f"RMSE of the ensemble mean ({unit})")
    return {"data": data, "layout": layout}


def sparsification(uncertainty: Mapping[str, Any], quantity: str = "forces") -> Figure:
    """Error of the rest without the items of largest standard deviation, and without those of largest error."""
    data: list[Figure] = []
    for part, name, colour, _ in PARTS:
        curve = uncertainty[quantity][part]["sparsification"]
        for key, how, dash in (("by_spread", "by σ", "solid"), ("by_error", "by error", "dot")):
            data.append(
                {"type": "scatter", "mode": "lines", "name": f"{name}, {how}", "x": curve["left_out"], "y": curve[key],
                 "line": {"color": colour, "width": 2, "dash": dash},
                 "hovertemplate": f"{name}, %{{x:.0%}} left out {how}: %{{y:.2f}} of the RMSE<extra></extra>"}
            )  # fmt: skip
    layout = layout_of(
        {"title": {"text": "share left out"}, "tickformat": ".0%"}, {"rangemode": "tozero"}, "RMSE of the rest / of all"
    )
    return {"data": data, "layout": layout}
