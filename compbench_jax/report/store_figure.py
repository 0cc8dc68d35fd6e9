"""The statistics of a store as one figure: forces, energies, autocorrelation, torsions, coverage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.report.drawing import new_figure, save_figure
from compbench_jax.store.statistics import ALL

PRIMARY, SECONDARY = "#0072B2", "#D55E00"
QUANTITY_COLOURS = {"energy": "#009E73", "shape": "#CC79A7", "torsions": "#0072B2", "forces": "#D55E00"}
"""Of Okabe & Ito: distinguishable under every common colour blindness."""

COLUMNS = 5
DPI = 90


def store_figure(statistics: Mapping[str, Any], path: Path) -> Path:
    """Draw the statistics of a store and save the picture (png, pdf or svg by its ending).

    Args:
        statistics: of :func:`compbench_jax.store.statistics.store_statistics`.
        path: the picture.

    Raises:
        CompBenchError: matplotlib is not installed.
    """
    families = [name for name in statistics["families"] if name != ALL]
    with_torsions = [name for name in families if statistics["families"][name]["torsions"]["primary"]["histogram"]]
    rows = -(-len(with_torsions) // COLUMNS)
    figure = new_figure(path, 12.5, 4.2 + 1.75 * rows)
    parts = figure.subfigures(
        2 if rows else 1, 1, height_ratios=[4.2, 1.75 * rows + 0.3] if rows else [1], squeeze=False
    )
    force, energy, correlation, shared = parts[0, 0].subplots(1, 4, width_ratios=[1, 1, 1.1, 1.2])
    draw_ridges(force, statistics, "force", "|F| (eV/Å)", families)
    force.set_title("forces: median and middle 90%", fontsize=9, loc="left")
    energy.set_title("conformational energies", fontsize=9, loc="left")
    draw_ridges(energy, statistics, "energy", "less the molecule's mean (eV)", families)
    energy.set_yticklabels([])
    draw_correlation(correlation, statistics)
    draw_coverage(shared, statistics)
    if rows:
        columns = min(COLUMNS, len(with_torsions))
        grid = parts[1, 0].subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, family in zip(grid, with_torsions, strict=False):
            draw_torsions(axes, statistics, family)
        for axes in grid[len(with_torsions) :]:
            axes.set_axis_off()
        for axes in grid[::columns]:
            axes.set_ylabel("share per 10°", fontsize=8)
        parts[1, 0].supxlabel("backbone torsion (degrees)", fontsize=9)
    return save_figure(figure, path, DPI)


def draw_ridges(axes: Any, statistics: Mapping[str, Any], key: str, label: str, families: list[str]) -> None:
    """A histogram for each family, one below the other, with the median and the middle 90% marked."""
    edges = np.array(statistics["edges"][key])
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = np.inf, -np.inf
    for row, family in enumerate(families):
        entry = statistics["families"][family][key]
        counts = np.array(entry["histogram"], float)
        height = 0.85 * counts / counts.max()
        axes.fill_between(centres, -row, -row + height, color="#56B4E9", alpha=0.55, linewidth=0)
        axes.plot(centres, -row + height, color="#333333", linewidth=0.7)
        quantiles = entry["quantiles"]
        axes.plot([quantiles["p05"], quantiles["p95"]], [-row, -row], color="#333333", linewidth=2.2)
        axes.plot(quantiles["p50"], -row, "o", color="white", markeredgecolor="#333333", markersize=4.5, zorder=5)
        occupied = centres[counts > 0.003 * counts.max()]
        low, high = min(low, occupied[0]), max(high, occupied[-1])
    margin = 0.03 * (high - low) + (edges[1] - edges[0])
    axes.set_xlim(low - margin, high + margin)
    axes.set_yticks([-row for row in range(len(families))], families, fontsize=8)
    axes.set_ylim(-len(families) + 0.6, 1.0)
    axes.set_xlabel(label, fontsize=9)
    _plain(axes)


def draw_correlation(axes: Any, statistics: Mapping[str, Any]) -> None:
    """ρ of each quantity against the time (or the number of frames) between two frames of a segment."""
    step = statistics["spacing"] or 1.0
    axes.axhline(0, color="#999999", linewidth=0.8)
    for name, values in statistics["families"][ALL]["autocorrelation"].items():
        if not values:
            continue
        lags = step * np.arange(len(values) + 1)
        marker = "o" if len(values) < 12 else ""
        axes.plot(
            lags, [1.0, *values], marker=marker, markersize=3.5, linewidth=1.5, color=QUANTITY_COLOURS[name], label=name
        )
    axes.set_ylim(-0.45, 1.05)
    axes.set_xlabel("time between frames (fs)" if statistics["spacing"] else "frames apart", fontsize=9)
    axes.set_title("autocorrelation within segments", fontsize=9, loc="left")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False, loc="best")
    _plain(axes)


def draw_coverage(axes: Any, statistics: Mapping[str, Any]) -> None:
    """Overlap of the torsions of both sets, a point per molecule, and that of segments assigned at random."""
    rows = [row for row in statistics["molecules"] if row["coverage"]]
    axes.set_title("overlap of primary and secondary torsions", fontsize=9, loc="left")
    if not rows:
        axes.text(0.5, 0.5, "nothing to compare", transform=axes.transAxes, ha="center", fontsize=9, color="#666666")
        axes.set_axis_off()
        return
    torsions = np.array([row["torsions"] for row in rows])
    found, expected = (np.array([row["coverage"][key] for row in rows]) for key in ("overlap", "overlap_redealt"))
    lengths = np.unique(torsions)
    offsets = np.linspace(-0.28, 0.28, 11)
    seen: dict[int, int] = {}
    for count, value in zip(torsions.tolist(), found.tolist(), strict=True):
        seen[count] = seen.get(count, -1) + 1
        at = count + offsets[(5 * seen[count]) % len(offsets)]
        axes.plot(at, value, "o", color=PRIMARY, alpha=0.55, markersize=4, markeredgewidth=0)
    for name, values, style in (("mean", found, "-"), ("segments assigned at random", expected, "--")):
        means = [values[torsions == count].mean() for count in lengths]
        axes.plot(lengths, means, style, color="#333333" if style == "--" else PRIMARY, linewidth=1.4, label=name)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("backbone torsions of the molecule", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
    _plain(axes)


def draw_torsions(axes: Any, statistics: Mapping[str, Any], family: str) -> None:
    """Torsion histograms of a family, primary filled and secondary as a line."""
    edges = np.array(statistics["edges"]["torsion"])
    torsions = statistics["families"][family]["torsions"]
    axes.stairs(torsions["primary"]["histogram"], edges, fill=True, color=PRIMARY, alpha=0.35, label="primary")
    if torsions["secondary"]["histogram"]:
        axes.stairs(torsions["secondary"]["histogram"], edges, color=SECONDARY, linewidth=1.3, label="secondary")
    for barrier in (-120, 120):
        axes.axvline(barrier, color="#999999", linewidth=0.7, linestyle=":")
    shares = [torsions[name]["trans"] for name in ("primary", "secondary")]
    text = " / ".join("–" if share is None else f"{100 * share:.0f}%" for share in shares)
    axes.set_title(f"{family}   trans {text}", fontsize=8.5, loc="left")
    axes.set_xticks([-180, -60, 60, 180])
    axes.set_xlim(-180, 180)
    if family == next(iter(statistics["families"])):
        axes.legend(fontsize=7.5, frameon=False, loc="upper center")
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
