"""The figures of docs/findings.md, each drawn where there are results for it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.report.charts import PALETTE
from compbench_jax.report.drawing import COLOURS, MARKERS, MEV, bars, new_figure, plain_log_ticks, save_figure
from compbench_jax.report.ensemble_charts import PARTS
from compbench_jax.report.figure import stretches
from compbench_jax.report.findings_data import (
    Shots,
    directions,
    divergences,
    energy_ratios,
    ensembles,
    priors,
    setting,
    shots,
)
from compbench_jax.report.findings_material import LEARNT, Material, mean_curve, mean_of
from compbench_jax.report.leaderboard import METRIC, Row, models_of, tasks_of
from compbench_jax.report.overview import overview_figure
from compbench_jax.splits.roles import inner_task

Panels = dict[str, list[Any]]
"""What is drawn in each panel, by its title."""
RATIOS = (1, 2, 4, 8)
"""Lines of equal OOD / ID in figures of one against the other."""
BAND = 0.8
"""Part of a task's band that its potentials occupy."""
LEGEND_WIDTH = 1.35
"""Inches of an entry of a legend, the longest name of a potential among them."""
RADIUS = 1
"""Bonds of the atom environments whose divergence is drawn: at this radius it orders the tasks as their errors do."""


def draw_findings(found: Material, folder: Path, only: Collection[str] = ()) -> list[Path]:
    """Draw the figures that there are results for.

    Args:
        found: results.
        folder: of the pictures (png), made if need be.
        only: names of the figures to draw; empty: all.

    Returns:
        the pictures.

    Raises:
        RunError: a file could not be written, there is nothing to draw, or no such figure of these results.
        CompBenchError: matplotlib is not installed.
    """
    figures = figures_of(found)
    unknown = [name for name in only if name not in figures]
    if unknown:
        raise RunError(f"these results have no figure {unknown[0]!r}: choose from {', '.join(figures)}")
    return [draw(folder / f"{name}.png") for name, draw in figures.items() if not only or name in only]


def figures_of(found: Material) -> dict[str, Callable[[Path], Path]]:
    """How to draw each figure that there are results for, by its name."""
    learnt = {task: found.of(task) for task in tasks_of(found.rows) if found.of(task)}
    styles = {name: k for k, name in enumerate(dict.fromkeys(row.model for row in found.rows if row.kind in LEARNT))}
    tasks = {name: k for k, name in enumerate(tasks_of(found.rows))}
    lengths = {task: rows for task, rows in learnt.items() if task.startswith("chain")}
    near = {task: rows for task, rows in learnt.items() if any(_by_distance(row) for row in rows)}
    trained = {task: [row for row in rows if mean_curve(row) is not None] for task, rows in learnt.items()}
    labelled: Panels = {}
    for curve in shots(found):
        labelled.setdefault(curve.task, []).append(curve)
    ensembled = {f"{row.task}\n{row.model}, {block['n_members']} seeds": [block] for row, block in ensembles(found)}
    figures: dict[str, Callable[[Path], Path]] = {"overview": lambda path: overview_figure(found.rows, path)}
    for name, panels, draw, width in (
        ("lengths", lengths, partial(draw_lengths, published=found.facts["by_n"]), 5.6),
        ("training", {task: rows for task, rows in trained.items() if rows}, draw_training, 3.6),
        ("distances", near, draw_distances, 3.6),
        ("few_shot", labelled, draw_few_shot, 3.6),
        ("uncertainty", ensembled, draw_uncertainty, 3.6),
    ):
        if panels:
            figures[name] = partial(_grid, panels=panels, draw=draw, width=width, styles=styles)
    if any(row.kind == "trained" for row in found.rows):
        figures["ratios"] = partial(draw_ratios, found, styles)
    if found.gaps:
        figures["gaps"] = partial(draw_gaps, found)
    for name, there, draw_one in (
        ("prior", priors(found), draw_prior),
        ("divergence", divergences(found), draw_divergence),
        ("energies", energy_ratios(found), draw_energies),
        ("directions", directions(found), draw_directions),
    ):
        if there:
            figures[name] = partial(_single, there=there, draw=draw_one, styles=styles, tasks=tasks)
    return figures


Draw = Callable[[Any, Sequence[Any], dict[str, int]], tuple[str, str]]
DrawSingle = Callable[[Any, Any, dict[str, int], dict[str, int]], tuple[str, str]]


def _grid(path: Path, panels: Panels, draw: Draw, width: float, styles: dict[str, int]) -> Path:
    """A panel for each task, one legend for all."""
    columns = min(3 if width < 5 and len(panels) not in (2, 4) else 2, len(panels))
    lines = -(-len(panels) // columns)
    figure = new_figure(path, width * columns, 3.4 * lines + 0.6)
    grid = figure.subplots(lines, columns, squeeze=False)
    handles: dict[str, Any] = {}
    for place, axes in enumerate(grid.ravel()):
        if place >= len(panels):
            axes.set_axis_off()
            continue
        task, rows = list(panels.items())[place]
        across, up = draw(axes, rows, styles)
        axes.set_title(task, fontsize=9.5, loc="left")
        axes.set_xlabel(across, fontsize=8.5)
        if place % columns == 0:
            axes.set_ylabel(up, fontsize=8.5)
        axes.tick_params(labelsize=8)
        axes.grid(color="#e5e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    order = sorted(handles, key=lambda name: styles.get(name, len(styles)))
    figure.legend(
        [handles[name] for name in order], order, loc="outside lower center", fontsize=8, frameon=False,
        ncols=min(int(width * columns / LEGEND_WIDTH), len(order)),
    )  # fmt: skip
    return save_figure(figure, path)


def style(row: Row, styles: dict[str, int]) -> dict[str, Any]:
    """Colour and mark of a potential, the same in all panels; another mark and dashes where colours come again."""
    turn, index = divmod(styles[row.model], len(PALETTE))
    return {"color": PALETTE[index], "marker": MARKERS[(index + turn) % len(MARKERS)], "label": row.model,
            "linestyle": "--" if turn else "-", "markersize": 4.5, "linewidth": 1.4}  # fmt: skip


def draw_lengths(
    axes: Any, rows: Sequence[Row], styles: dict[str, int], published: Sequence[Mapping[str, Any]]
) -> tuple[str, str]:
    """Force MAE against n, the trained range shaded; the published curve of the task, if there is one."""
    first = rows[0].group.runs[0]
    for low, high in stretches([int(n) for n in first["train"]["n"]]):
        axes.axvspan(low - 0.5, high + 0.5, color="#000000", alpha=0.06, linewidth=0)
    ns = sorted({int(n) for part in ("id", "ood") for n in first["by_n"][part]})
    for row in rows:
        values = [mean_of(row, "by_n", "id", str(n)) or mean_of(row, "by_n", "ood", str(n)) or np.nan for n in ns]
        axes.plot(ns, MEV * np.array(values), **style(row, styles))
    for item in published:
        if rows[0].task in item["names"]:
            errors = [MEV * value for value in item["force_mae"].values()]
            label = f"{item['model'].partition(' (')[0]} (published)"
            axes.plot([int(n) for n in item["force_mae"]], errors, "--", color="#6b7280", label=label)
    axes.set_yscale("log")
    plain_log_ticks(axes.yaxis)
    axes.set_xticks(ns)
    return "carbon atoms n (shaded: trained on)", "force MAE (meV/Å)"


def draw_training(axes: Any, rows: Sequence[Row], styles: dict[str, int]) -> tuple[str, str]:
    """OOD against ID force MAE on the monitor frames as training goes on (to the left), with lines of equal ratio."""
    errors = []
    for row in rows:
        curve = mean_curve(row)
        if curve is not None:
            axes.plot(MEV * curve.id, MEV * curve.ood, **{**style(row, styles), "markersize": 2.5})
            errors += [MEV * curve.id.min(), MEV * curve.id.max()]
    _equal_ratios(axes, min(errors), max(errors))
    return "ID force MAE (meV/Å), falling during training", "OOD force MAE (meV/Å)"


def draw_few_shot(axes: Any, curves: Sequence[Shots], styles: dict[str, int]) -> tuple[str, str]:
    """OOD force MAE against labelled frames of each OOD molecule; dashed: without any, dotted: the oracle."""
    for curve in curves:
        values = [MEV * (row.estimate("ood").value or np.nan) for row in curve.rows.values()]
        look = style(next(iter(curve.rows.values())), styles)
        axes.plot(list(curve.rows), values, **look)
        for row, line, name in ((curve.zero, "--", "none"), (curve.oracle, ":", "oracle")):
            value = None if row is None else row.estimate("ood").value
            if value:
                axes.axhline(MEV * value, color=look["color"], linestyle=line)
                axes.annotate(name, (1, MEV * value), xycoords=("axes fraction", "data"), xytext=(-2, 2),
                              textcoords="offset points", ha="right", fontsize=7, color="#6b7280")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    return "labelled frames of each OOD molecule", "OOD force MAE (meV/Å)"


def draw_uncertainty(axes: Any, blocks: Sequence[Any], styles: dict[str, int]) -> tuple[str, str]:
    """RMSE against ensemble standard deviation of the forces, ID and OOD; a calibrated ensemble is on the diagonal."""
    everything: list[float] = []
    for (part, label, *_), mark in zip(PARTS, "oD", strict=True):
        curve = blocks[0]["forces"][part]["calibration"]
        points = np.array([(p, o) for p, o in zip(curve["predicted"], curve["observed"], strict=True) if p and o])
        if len(points):
            axes.plot(*(MEV * points.T), mark + "-", color=COLOURS[part], label=label, markersize=4)
            everything += (MEV * points).ravel().tolist()
    axes.set_xscale("log")
    axes.set_yscale("log")
    if everything:
        axes.plot([min(everything), max(everything)], [min(everything), max(everything)], ":", color="#9ca3af")
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    return "ensemble standard deviation (meV/Å)", "force RMSE of the ensemble mean (meV/Å)"


def _single(path: Path, there: Any, draw: DrawSingle, styles: dict[str, int], tasks: dict[str, int]) -> Path:
    """One panel, its legend at the right."""
    figure = new_figure(path, 6.6, 4.2)
    axes = figure.subplots()
    across, up = draw(axes, there, styles, tasks)
    for axis, set_scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
        set_scale("log")
        plain_log_ticks(axis)
    axes.set_xlabel(across, fontsize=8.5)
    axes.set_ylabel(up, fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside right center", fontsize=8, frameon=False)
    return save_figure(figure, path)


def draw_prior(axes: Any, pairs: Any, styles: dict[str, int], tasks: dict[str, int]) -> tuple[str, str]:
    """From ID and OOD force MAE without (hollow) to with a prior (filled); a colour for each task."""
    errors = []
    for without, row in pairs:
        ends = [[item.estimate(part).value for part in ("id", "ood")] for item in (without, row)]
        if None in (*ends[0], *ends[1]):
            continue
        points = MEV * np.array(ends, np.float64)
        colour, mark = PALETTE[tasks[row.task] % len(PALETTE)], MARKERS[styles[without.model] % len(MARKERS)]
        axes.plot(*points.T, "-", color=colour, linewidth=1.2)
        axes.plot(*points[0], mark, color=colour, markerfacecolor="white")
        axes.plot(*points[1], mark, color=colour, label=f"{row.task}, {setting(row, 'preset')}")
        errors += points[:, 0].tolist()
    if errors:
        _equal_ratios(axes, min(errors), max(errors))
    return "ID force MAE (meV/Å); hollow: without prior", "OOD force MAE (meV/Å)"


def draw_divergence(axes: Any, splits: Any, _: dict[str, int], tasks: dict[str, int]) -> tuple[str, str]:
    """OOD / ID of each potential and their median against the divergence of the split; hollow: random splits."""
    for item in splits:
        task = inner_task(item.task)
        colour = PALETTE[tasks.get(task, len(tasks)) % len(PALETTE)]
        face = "white" if item.random else colour
        at = item.by_radius[RADIUS]
        axes.plot([at] * len(item.ratios), item.ratios, ".", color=colour, alpha=0.5, markersize=5)
        axes.plot(at, np.median(item.ratios), "s" if item.random else "D", color=colour, markerfacecolor=face,
                  label=f"{task}, random" if item.random else task)  # fmt: skip
    return f"divergence D_C of the atom environments of radius {RADIUS}", "OOD force MAE / ID force MAE (median: large)"


def draw_energies(axes: Any, points: Any, _: dict[str, int], tasks: dict[str, int]) -> tuple[str, str]:
    """OOD / ID of centred against raw energy errors; hollow: training does not determine the total energies."""
    for row, raw, centred, marked in points:
        colour = PALETTE[tasks[row.task] % len(PALETTE)]
        axes.plot(raw, centred, "o", color=colour, markerfacecolor="white" if marked else colour, label=row.task)
    ends = [pick(point[2] for point in points) for pick in (min, max)]
    axes.plot(ends, ends, ":", color="#9ca3af", linewidth=0.9)
    return "raw energy MAE, OOD / ID (hollow: not determined by training)", "centred energy MAE, OOD / ID"


def draw_directions(axes: Any, rows: Any, _: dict[str, int], tasks: dict[str, int]) -> tuple[str, str]:
    """OOD / ID of the errors of direction against those of magnitude; on the dotted line they grow alike."""
    growth = []
    for row, *errors in rows:
        growth.append([outside / inside for inside, outside in errors])
        axes.plot(*growth[-1], "o", color=PALETTE[tasks[row.task] % len(PALETTE)], label=row.task)
    ends = [pick(value for pair in growth for value in pair) for pick in (min, max)]
    axes.plot(ends, ends, ":", color="#9ca3af", linewidth=0.9)
    return "MAE of the magnitude, OOD / ID", "angle between predicted and reference force, OOD / ID"


def _equal_ratios(axes: Any, low: float, high: float) -> None:
    """Logarithmic axes and dotted lines where OOD / ID is 1, 2, 4, 8."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    top = axes.get_ylim()[1]
    ends = np.array([low / 1.3, high * 1.3])
    for ratio in RATIOS:
        if ratio * ends[0] > top:
            continue
        axes.plot(ends, ratio * ends, ":", color="#9ca3af", linewidth=0.9, zorder=1)
        # Where the line leaves the panel: to the right of it, or inside it under the top, clear of the title.
        at = min(ends[1], top / ratio)
        inside = at < ends[1]
        axes.annotate(
            f"×{ratio}", (at, ratio * at), xytext=(-4, -2) if inside else (1, 1), textcoords="offset points",
            ha="right" if inside else "left", va="top" if inside else "bottom", fontsize=7, color="#6b7280",
        )  # fmt: skip
    axes.set_xlim(*ends)
    axes.set_ylim(top=top)
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)


def _by_distance(row: Row) -> list[int]:
    """Bonds to an unseen environment that a row has errors for."""
    return sorted(int(name) for name in row.group.runs[0].get("by_distance", {}).get("ood", {}) if name.isdigit())


def draw_distances(axes: Any, rows: Sequence[Row], styles: dict[str, int]) -> tuple[str, str]:
    """OOD force MAE by distance to an unseen environment, in units of the potential's ID force MAE."""
    farthest = 0
    for row in rows:
        inside, places = row.estimate("id").value, _by_distance(row)
        values = [mean_of(row, "by_distance", "ood", str(k)) or np.nan for k in places]
        if inside and places:
            axes.plot(places, np.array(values) / inside, **style(row, styles))
            farthest = max(farthest, *places)
    axes.axhline(1.0, color="#6b7280", linewidth=0.9, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(farthest + 1))
    return "bonds to the nearest unseen environment", "OOD force MAE / ID force MAE"


def draw_ratios(found: Material, styles: dict[str, int], path: Path) -> Path:
    """OOD / ID of every potential trained here, a band for each task; hollow: task / oracle of those with controls."""
    rows = [row for row in found.rows if row.kind == "trained"]
    tasks, models = tasks_of(rows), models_of(rows)
    height = {model: (k - (len(models) - 1) / 2) * BAND / len(models) for k, model in enumerate(models)}
    figure = new_figure(path, 7.2, 0.9 + (0.1 + 0.095 * len(models)) * len(tasks))
    axes = figure.subplots()
    for row in rows:
        ratio = row.estimate("ratio")
        if ratio.value is not None:
            axes.errorbar(ratio.value, tasks.index(row.task) + height[row.model], xerr=bars(ratio, 1.0),
                          elinewidth=0.7, **{**style(row, styles), "linestyle": "none"})  # fmt: skip
    for controlled, gap in found.gaps:
        model, unseen = controlled.runs[0]["model"], gap.unseen.estimate(METRIC)
        trained = next((row for row in rows if (row.task, row.model) == (controlled.task, model)), None)
        if trained is not None and unseen.value is not None:
            shown = {**style(trained, styles), "linestyle": "none", "label": f"{model}: task / oracle"}
            axes.plot(unseen.value, tasks.index(controlled.task) + height[model], markerfacecolor="white", **shown)
    axes.axvline(1.0, color="#6b7280", linewidth=0.9, linestyle=":")
    for edge in range(1, len(tasks)):
        axes.axhline(edge - 0.5, color="#e5e7eb", linewidth=0.8)
    axes.set_yticks(range(len(tasks)), tasks, fontsize=8.5)
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis)
    axes.set_xlabel("OOD force MAE / ID force MAE, 95% intervals", fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    order = sorted(handles, key=lambda label: (label not in models, label))
    figure.legend([handles[label] for label in order], order, loc="outside lower center", ncols=5, fontsize=8,
                  frameon=False)  # fmt: skip
    return save_figure(figure, path)


def draw_gaps(found: Material, path: Path) -> Path:
    """OOD errors of task, random control and oracle, a line for each potential and task."""
    marks = {"task": ("D", COLOURS["ood"]), "control": ("s", "#6b7280"), "oracle": ("o", COLOURS["id"])}
    figure = new_figure(path, 6.4, 0.9 + 0.32 * len(found.gaps))
    axes = figure.subplots()
    for place, (_, gap) in enumerate(found.gaps):
        for name, (mark, colour) in marks.items():
            estimate = getattr(gap, name).estimate(METRIC)
            axes.errorbar(
                MEV * estimate.value, place, xerr=bars(estimate), fmt=mark, color=colour, markersize=5,
                elinewidth=0.8, label={"control": "random control"}.get(name, name) if place == 0 else None,
            )  # fmt: skip
    names = [f"{controlled.task} · {controlled.runs[0]['model']}" for controlled, _ in found.gaps]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis)
    axes.set_xlabel("OOD force MAE (meV/Å)", fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return save_figure(figure, path)
