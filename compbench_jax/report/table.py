"""Tables of results: one run on the terminal, many runs in Markdown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.evaluation.blocks import estimate_of
from compbench_jax.evaluation.breakdowns import BREAKDOWNS
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.metrics.definitions import METRICS, Metric
from compbench_jax.report.runs import Group, Results, group_runs

MEV = 1000.0
PARTS = ("id", "ood", "ratio")

WIDE = 104
"""Columns of a terminal that the table of metrics needs with values and intervals side by side."""

WIDE_ACROSS = 116
"""The same for all columns of the table across runs."""


ACROSS = tuple(metric for metric in METRICS.values() if metric.short)
"""Columns of the table across runs after the force MAE, each ID → OOD."""

MARK = " †"
MARKED = "† not identifiable: the training compositions do not determine total energies of {n} OOD molecules"


def is_marked(results: Mapping[str, Any], metric: str, part: str = "ood") -> bool:
    """Whether a metric of the OOD set rests on total energies that the training compositions do not determine.

    Such a value is shown with ``MARK`` and never ranked (docs/concepts.md).
    """
    return part != "id" and METRICS[metric].total_energy and bool(results.get("unidentifiable"))


def significant(value: float | None, digits: int = 3) -> str:
    """A number to so many significant digits, without exponent: ``0.0120``, ``1.50``, ``124``; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(decimals, 0)}f}"


def over(*n_runs: int) -> str:
    """What an interval is over, for these numbers of runs that differ in their seed."""
    if max(n_runs) == 1:
        return "over molecules only"
    return "over molecules and seeds" + (", where there are several" if min(n_runs) == 1 else "")


def with_interval(estimate: Estimate, scale: float = 1.0, decimals: int | None = None) -> str:
    """``"12.0 [10.9, 13.4]"``; the value alone where there is no interval.

    Args:
        estimate: the metric.
        scale: factor to the unit shown.
        decimals: to show; None: three significant digits (too few for a cosine of 0.9987).
    """
    if estimate.value is None:
        return "–"

    def show(value: float) -> str:
        return significant(scale * value) if decimals is None else f"{scale * value:.{decimals}f}"

    if estimate.low is None or estimate.high is None:
        return show(estimate.value)
    return f"{show(estimate.value)} [{show(estimate.low)}, {show(estimate.high)}]"


def _cell(results: Mapping[str, Any], part: str, metric: Metric) -> str:
    estimate = estimate_of(results[part], metric.name)
    mark = MARK if is_marked(results, metric.name, part) else ""
    if part == "ratio":
        return with_interval(estimate) + mark
    return with_interval(estimate, metric.scale, metric.decimals) + mark


def copy_of(results: Mapping[str, Any]) -> str:
    """Which run of a model results are of: its seed; of a calculator whether they are complete."""
    if results["kind"] != "foreign":
        return f"seed {results['seed']}"
    return "partial: frames are missing" if "partial" in results else "not trained here"


def metric_table(results: Mapping[str, Any], width: int = WIDE) -> Table:
    """Every metric of one run, ID, OOD and their ratio, with 95% intervals over molecules only.

    Args:
        results: contents of ``results.json``.
        width: columns of the terminal; below ``WIDE`` an interval stands under its value.
    """
    table = Table(
        title=escape(f"{results['model']} on {results['task']}, {copy_of(results)}"),
        caption="; ".join(
            f"{name}: {results[part]['n_molecules']} molecules, {results[part]['n_frames']} frames"
            for name, part in (("ID", "id"), ("OOD", "ood"))
        )
        + f"; [95% interval {over(1)}]"
        + (f"\n{MARKED.format(n=len(results['unidentifiable']))}" if results.get("unidentifiable") else ""),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("metric", no_wrap=True)
    for heading in ("ID", "OOD", "OOD / ID"):
        table.add_column(heading, justify="right", no_wrap=True)
    break_at = "\n" if width < WIDE else " "
    for metric in METRICS.values():
        if metric.listed:
            cells = [_cell(results, part, metric).replace(" ", break_at, 1) for part in PARTS]
            table.add_row(metric.heading, *cells)
        if metric.name == "force_mae":
            largest = with_interval(estimate_of(results["ratio_largest_id"], "force_mae"))
            table.add_row("  OOD / largest ID", "", "", largest.replace(" ", break_at, 1))
    return table


def n_table(results: Mapping[str, Any]) -> Table:
    """Force MAE of one run by the number of carbons."""
    blocks = results["by_n"]
    table = Table(title="force MAE (meV/Å) by number of carbons n", box=box.SIMPLE_HEAD, show_edge=False, min_width=42)
    table.add_column("n", justify="right")
    table.add_column("trained")
    for heading in ("ID", "OOD"):
        table.add_column(heading, justify="right", no_wrap=True)
    trained = {str(n) for n in results["train"]["n"]}
    for n in sorted({*blocks["id"], *blocks["ood"]}, key=int):
        cells = [
            with_interval(estimate_of(blocks[part].get(n, {}), "force_mae"), MEV) if n in blocks[part] else ""
            for part in ("id", "ood")
        ]
        table.add_row(n, "yes" if n in trained else "", *cells)
    return table


def where_table(results: Mapping[str, Any]) -> Table:
    """Error breakdown of one run: every breakdown except those by n (see :func:`n_table`) and by two criteria."""
    table = Table(title="error breakdown, force MAE (meV/Å)", box=box.SIMPLE_HEAD, show_edge=False, min_width=42)
    table.add_column("by")
    table.add_column("")
    for heading in ("ID", "OOD"):
        table.add_column(heading, justify="right", no_wrap=True)
    for breakdown in BREAKDOWNS.values():
        blocks = results.get(f"by_{breakdown.name}", {})
        if breakdown.name in ("n", "distance_element") or not any(blocks.values()):
            continue
        names = list(dict.fromkeys(name for part in ("id", "ood") for name in blocks.get(part, {})))
        for index, name in enumerate(names):
            cells = [
                with_interval(estimate_of(blocks.get(part, {}).get(name, {}), "force_mae"), MEV)
                if name in blocks.get(part, {})
                else ""
                for part in ("id", "ood")
            ]
            table.add_row(breakdown.heading if index == 0 else "", name, *cells, end_section=index == len(names) - 1)
    return table


def comparison_cells(group: Group) -> list[str]:
    """Cells of one row of the table across runs, after task and model."""
    sets = group.comparison
    cells = [
        with_interval(sets.id.estimate("force_mae"), MEV),
        with_interval(sets.ood.estimate("force_mae"), MEV),
        with_interval(sets.ratio.estimate("force_mae")),
    ]
    for metric in ACROSS:
        pair = [Estimate(getattr(sets, part).estimate(metric.name).value) for part in ("id", "ood")]
        mark = MARK if is_marked(group.runs[0], metric.name) else ""
        cells.append(" → ".join(with_interval(item, metric.scale, metric.decimals) for item in pair) + mark)
    return cells


HEADINGS = ("task", "model", "seeds", "force MAE, ID", "force MAE, OOD", "OOD / ID", *(m.short for m in ACROSS))
FORCE_COLUMNS = 6
"""Leading columns that hold no more than the force MAE."""

CAPTION = (
    "Force MAE and |F| MAE in meV/Å, energies in meV per atom (referenced: a per-element fit on train taken "
    "out; centred: each molecule's mean taken out); ID → OOD; [95% interval over molecules and seeds; of one seed over "
    "molecules only]; † not identifiable from the training compositions."
)


def across_rows(results: Sequence[Results]) -> list[list[str]]:
    """Cells of the table across runs; runs that differ in their seed only are one row."""
    return [[group.task, group.model, str(len(group.runs)), *comparison_cells(group)] for group in group_runs(results)]


def markdown_table(results: Sequence[Results]) -> str:
    """Task × model in Markdown: force MAE ID, OOD and ratio with intervals, cosine, magnitude, energies."""
    lines = [
        "| " + " | ".join(heading.replace("|", "\\|") for heading in HEADINGS) + " |",
        "| " + " | ".join("---" if i < 2 else "---:" for i in range(len(HEADINGS))) + " |",
        *("| " + " | ".join([f"`{row[0]}`", *row[1:]]) + " |" for row in across_rows(results)),
    ]
    return "\n".join(lines) + f"\n\n{CAPTION}\n"


def across_table(results: Sequence[Results], width: int = WIDE_ACROSS) -> Table:
    """The same for the terminal: values above their intervals; a narrow terminal shows the force MAE only."""
    shown = len(HEADINGS) if width >= WIDE_ACROSS else FORCE_COLUMNS
    table = Table(caption=escape(CAPTION), box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("task, model", overflow="fold")
    for heading in HEADINGS[3:shown]:
        table.add_column(heading.replace(", ", "\n"), justify="right", no_wrap=True)
    for task, model, seeds, *cells in across_rows(results):
        name = f"{task}\n{model}" + (f", {seeds} seeds" if seeds != "1" else "")
        broken = [cell.replace(" → ", "\n→ ").replace(" [", "\n[") for cell in cells[: shown - 3]]
        table.add_row(escape(name), *map(escape, broken))
    return table
