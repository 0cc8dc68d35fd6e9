"""Force MAE against the number of carbons, ID and OOD, with the trained range shaded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.report.drawing import (
    COLOURS,
    LABELS,
    MARKERS,
    MEV,
    check_format,
    new_figure,
    plain_log_ticks,
    save_figure,
)
from compbench_jax.report.runs import Group, Results, group_runs

GAP = 1.5
"""Longest step in n along a line: a longer one (interpolation tasks) is a gap in the line too."""

LABEL_GAP = 0.065
"""Least distance between two labels, as a fraction of the height of the axes."""

MOST_FAMILIES = 4
"""With more families than this in a set, one line of means replaces a line for each."""


@dataclass(frozen=True)
class Point:
    """One molecule: its abscissa, family, force MAE and the 5% and 95% quantiles over its frames (all meV/Å)."""

    x: float
    family: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """What one set of axes shows.

    Attributes:
        task: canonical name.
        model: name of the preset.
        by_n: whether the abscissa is n; otherwise (molecules without n) the number of atoms.
        points: molecules of ``"id"`` and ``"ood"``.
        trained: the n that were trained on.
        ratio: OOD / ID in words.
    """

    task: str
    model: str
    by_n: bool
    points: dict[str, list[Point]]
    trained: tuple[int, ...]
    ratio: str


def panel_of(group: Group) -> Panel:
    """Panel of one model on one task; runs that differ in their seed are averaged molecule by molecule."""
    first = group.runs[0]
    entries = [(part, key) for part in ("id", "ood") for key in first["by_molecule"][part]]
    by_n = all(first["by_molecule"][part][key]["n"] is not None for part, key in entries)
    points: dict[str, list[Point]] = {"id": [], "ood": []}
    for part, key in entries:
        copies = [run["by_molecule"][part][key] for run in group.runs]
        frames = [copy["force_mae_frames"] for copy in copies]
        entry = copies[0]
        points[part].append(
            Point(
                x=entry["n"] if by_n else entry["n_atoms"] / entry["n_frames"],
                family=entry["family"] or entry["name"],
                value=MEV * float(np.mean([copy["force_mae"]["value"] for copy in copies])),
                low=MEV * float(np.mean([item["p05"] for item in frames])),
                high=MEV * float(np.mean([item["p95"] for item in frames])),
            )
        )
    ratio = group.comparison.ratio.estimate("force_mae")
    text = "" if ratio.value is None else f"force MAE, OOD / ID = {ratio.value:.2f}"
    if ratio.low is not None and ratio.high is not None:
        text += f" [{ratio.low:.2f}, {ratio.high:.2f}]"
    if len(group.runs) > 1:
        text += f", mean of {len(group.runs)} seeds"
    trained = tuple(first["train"]["n"]) if by_n else ()
    return Panel(group.task, group.model, by_n, points, trained, text)


def stretches(values: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive integers, first and last of each: ``[2, 3, 4, 10, 11]`` gives ``[(2, 4), (10, 11)]``."""
    runs: list[tuple[int, int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs


def separated_labels(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved apart as little as possible so that neighbours are at least ``gap`` from each other."""
    order = np.argsort(heights)
    moved = np.array(heights, float)[order]
    for _ in range(200):
        near = np.flatnonzero(np.diff(moved) < gap - 1e-9)
        if not len(near):
            break
        for i in near:
            excess = (gap - (moved[i + 1] - moved[i])) / 2
            moved[i] -= excess
            moved[i + 1] += excess
    result = np.empty(len(moved))
    result[order] = moved
    return result.tolist()


@dataclass(frozen=True)
class Line:
    """What is joined and labelled in a panel: a family, or the means of many.

    Attributes:
        part: ``"id"`` or ``"ood"``.
        name: of the family.
        marker: of matplotlib.
        points: ``(x, force MAE)`` by ascending x.
        members: the molecules behind them.
        gap: largest step in x that is still joined.
    """

    part: str
    name: str
    marker: str
    points: list[tuple[float, float]]
    members: list[Point]
    gap: float


def lines_of(panel: Panel) -> list[Line]:
    """Lines of a panel: a line for each family of a set, or one of means where they are many or scattered."""
    families = list(dict.fromkeys(p.family for points in panel.points.values() for p in points))
    lines = []
    for part, points in panel.points.items():
        own = [family for family in families if any(p.family == family for p in points)]
        members = {family: sorted((p for p in points if p.family == family), key=lambda p: p.x) for family in own}
        steps = np.concatenate([np.diff([p.x for p in item]) for item in members.values()])
        if len(own) > MOST_FAMILIES or (len(own) > 1 and len(steps) and np.mean(steps > GAP) > 0.5):
            means = {x: float(np.mean([p.value for p in points if p.x == x])) for x in sorted({p.x for p in points})}
            lines.append(Line(part, f"mean of {len(own)} families", "o", list(means.items()), points, math.inf))
            continue
        for family, item in members.items():
            marker = MARKERS[families.index(family) % len(MARKERS)]
            lines.append(Line(part, family, marker, [(p.x, p.value) for p in item], item, GAP))
    return lines


def draw_panel(axes: Any, panel: Panel, limits: tuple[float, float]) -> None:
    """Draw one panel on matplotlib axes, y between ``limits`` (meV/Å, logarithmic)."""
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    for first, last in stretches(panel.trained):
        axes.axvspan(first - 0.5, last + 0.5, color="#000000", alpha=0.06, linewidth=0, zorder=0)
    lines = lines_of(panel)
    taken = [{x for x, _ in line.points} for line in lines]
    together = any(a & b for i, a in enumerate(taken) for b in taken[:i])
    labels: list[tuple[float, float, str, str]] = []
    for index, line in enumerate(lines):
        colour = COLOURS[line.part]
        # Molecules of one n stand side by side, so that their bars are distinguishable.
        shift = (index - (len(lines) - 1) / 2) * min(0.16, 0.6 / len(lines)) if together else 0.0
        faint = len(line.members) > len(line.points)
        for point in line.members:
            at = point.x + shift
            axes.plot([at, at], [point.low, point.high], color=colour, alpha=0.3, linewidth=1.6, zorder=2)
            if faint:
                axes.plot(at, point.value, "o", color=colour, alpha=0.4, markersize=3, zorder=3)
        x = np.array([item[0] for item in line.points]) + shift
        y = np.array([item[1] for item in line.points])
        cuts = np.flatnonzero(np.diff(x) > line.gap) + 1
        for xs, ys in zip(np.split(x, cuts), np.split(y, cuts), strict=True):
            axes.plot(xs, ys, color=colour, linewidth=1.5, alpha=0.9, zorder=4)
        axes.plot(x, y, line.marker, color=colour, markersize=5.5, markeredgecolor="white", zorder=5)
        labels.append((float(x[-1]), float(y[-1]), f"{LABELS[line.part]}  {line.name}", colour))
    annotate(axes, labels, limits)
    extent = [p.x for points in panel.points.values() for p in points] + list(panel.trained)
    axes.set_xlim(min(extent) - 0.7, max(extent) + 0.7)
    if panel.by_n:
        axes.set_xticks(range(int(min(extent)), int(max(extent)) + 1))
    axes.set_title(f"{panel.task} · {panel.model}", fontsize=10, loc="left", pad=20, fontweight="bold")
    axes.text(0, 1.025, panel.ratio, transform=axes.transAxes, fontsize=8.5, color="#444444", va="bottom")
    axes.grid(axis="y", which="major", color="#dddddd", linewidth=0.7, zorder=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)


def annotate(axes: Any, labels: Sequence[tuple[float, float, str, str]], limits: tuple[float, float]) -> None:
    """Write each line's name to the right of the axes, without overlaps, with a dotted leader from its last
    point.

    Args:
        axes: of matplotlib.
        labels: x and y of the last point, text, colour.
        limits: of y.
    """
    span = math.log(limits[1] / limits[0])
    heights = [math.log(y / limits[0]) / span for _, y, _, _ in labels]
    for (x, y, text, colour), height in zip(labels, separated_labels(heights, LABEL_GAP), strict=True):
        leader = {"arrowstyle": "-", "color": colour, "alpha": 0.6, "linewidth": 0.9, "linestyle": ":", "shrinkB": 5}
        axes.annotate(
            text,
            xy=(x, y),
            xycoords="data",
            xytext=(1.02, height),
            textcoords="axes fraction",
            fontsize=8.5,
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops=leader,
        )


def force_mae_figure(results: Sequence[Results], path: str | Path) -> Path:
    """Draw force MAE against n, a panel for each model and task (tasks down, models across), and save it.

    Points are molecules, bars the middle 90% of their frames; the shaded range of n was trained on.

    Args:
        results: contents of one or more ``results.json``; runs that differ in their seed only share a panel.
        path: the picture; its ending says the format (png, pdf, svg).

    Raises:
        RunError: nothing to draw, or the file cannot be written.
        CompBenchError: matplotlib is not installed.
    """
    path = Path(path)
    check_format(path)
    panels = [panel_of(group) for group in group_runs(results)]
    values = [
        value for panel in panels for points in panel.points.values() for p in points for value in (p.low, p.high)
    ]
    positive = [value for value in values if value > 0]
    if not positive:
        raise RunError("there is no force error to draw: evaluate a run on both test sets first")
    limits = (min(positive) / 1.25, max(positive) * 1.25)
    tasks, models = list(dict.fromkeys(p.task for p in panels)), list(dict.fromkeys(p.model for p in panels))
    place = {}
    for panel in panels:
        spot = (tasks.index(panel.task), models.index(panel.model))
        if spot in place:
            place = {(i // 2, i % 2): item for i, item in enumerate(panels)}
            break
        place[spot] = panel
    rows, columns = 1 + max(r for r, _ in place), 1 + max(c for _, c in place)
    figure = new_figure(path, 6.2 * columns, 3.6 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        for column in range(columns):
            axes = grid[row][column]
            if (row, column) not in place:
                axes.set_axis_off()
                continue
            panel = place[row, column]
            draw_panel(axes, panel, limits)
            plain_log_ticks(axes.yaxis)
            axes.set_xlabel("carbon atoms n" if panel.by_n else "atoms in the molecule")
            if column == 0:
                axes.set_ylabel("force MAE (meV/Å)")
    shaded = "   shaded: n trained on" if any(panel.trained for panel in panels) else ""
    figure.supxlabel(
        f"points: molecules   bars: middle 90% of frames{shaded}",
        fontsize=8,
        color="#444444",
        x=0.01,
        ha="left",
    )
    return save_figure(figure, path)
