"""One figure of everything: ID and OOD force MAE of every potential, a panel for each task."""

from collections.abc import Sequence
from pathlib import Path

from compbench_jax.errors import RunError
from compbench_jax.report.drawing import (
    COLOURS,
    LABELS,
    MEV,
    bars,
    check_format,
    new_figure,
    plain_log_ticks,
    save_figure,
)
from compbench_jax.report.leaderboard import Row, tasks_of

MARKS = {"id": "o", "ood": "D"}


def overview_figure(rows: Sequence[Row], path: str | Path) -> Path:
    """Draw the figure and save it.

    Each potential is a line from its ID to its OOD force MAE with 95% intervals, the lowest OOD error of a task on top.

    Args:
        rows: of the leaderboard.
        path: the picture; its ending says the format (png, pdf, svg).

    Raises:
        RunError: nothing to draw, or the file cannot be written.
        CompBenchError: matplotlib is not installed.
    """
    path = Path(path)
    check_format(path)
    drawn = [row for row in rows if row.estimate("id").value and row.estimate("ood").value]
    if not drawn:
        raise RunError("there is no force error to draw: evaluate a run on both test sets first")
    tasks = tasks_of(drawn)
    columns = min(2, len(tasks))
    lines = -(-len(tasks) // columns)
    counts = [sum(row.task == task for row in drawn) for task in tasks]
    most = [max(counts[columns * line : columns * (line + 1)]) for line in range(lines)]
    heights = [0.9 + 0.27 * count for count in most]
    figure = new_figure(path, 4.9 * columns, sum(heights) + 0.3)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, height_ratios=heights)
    for index in range(lines * columns):
        axes = grid[index // columns][index % columns]
        if index >= len(tasks):
            axes.set_axis_off()
            continue
        own = sorted(
            (row for row in drawn if row.task == tasks[index]), key=lambda row: row.estimate("ood").value or 0.0
        )
        for place, row in enumerate(own):
            ends = [MEV * (row.estimate(part).value or 0.0) for part in MARKS]
            axes.plot(ends, [place, place], color="#9ca3af", linewidth=1.5, zorder=1)
            for part, mark in MARKS.items():
                estimate = row.estimate(part)
                axes.errorbar(
                    MEV * (estimate.value or 0.0), place, xerr=bars(estimate), fmt=mark, color=COLOURS[part],
                    markersize=5, elinewidth=0.8, zorder=2, label=LABELS[part] if index == place == 0 else None,
                )  # fmt: skip
            ratio = row.estimate("ratio").value
            axes.annotate(
                f"×{ratio:.1f}" if ratio else "", (1.01, place), xycoords=("axes fraction", "data"), fontsize=7.5,
                va="center", color="#444444",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yticks(range(len(own)), [row.label for row in own], fontsize=8.5)
        axes.set_ylim(most[index // columns] - 0.4, -0.6)
        axes.set_title(tasks[index], fontsize=9.5, loc="left")
        plain_log_ticks(axes.xaxis)
        axes.tick_params(axis="x", labelbottom=True, labelsize=8)
        axes.grid(axis="x", color="#e5e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="y", length=0)
    figure.legend(fontsize=8, frameon=False, loc="outside upper right", ncols=2)
    figure.supxlabel("force MAE (meV/Å), 95% intervals; at the right OOD / ID", fontsize=8.5)
    return save_figure(figure, path)
