"""Tables of results: one run on the terminal, many runs in Markdown."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.evaluation.results import estimate_of
from compbench_jax.report.runs import Group, group_runs

MEV = 1000.0
PARTS = ("id", "ood", "ratio")

WIDE = 104
"""Columns of a terminal that the table of metrics needs with values and intervals side by side."""

WIDE_ACROSS = 116
"""The same for all columns of the table across runs."""


@dataclass(frozen=True)
class Row:
    """A metric as tables show it: its name in results, its label with the unit, and the factor to that unit."""

    metric: str
    label: str
    scale: float = 1.0


ROWS = (
    Row("force_mae", "force MAE (meV/Å)", MEV),
    Row("force_rmse", "force RMSE (meV/Å)", MEV),
    Row("force_cosine", "force cosine"),
    Row("force_cosine_weighted", "force cosine, weighted"),
    Row("force_magnitude_mae", "|F| MAE (meV/Å)", MEV),
    Row("energy_mae_raw", "E MAE raw (meV)", MEV),
    Row("energy_mae_referenced", "E MAE referenced (meV)", MEV),
    Row("energy_mae_centred", "E MAE centred (meV)", MEV),
    Row("energy_mae_raw_per_atom", "  raw (meV/atom)"),
    Row("energy_mae_referenced_per_atom", "  referenced (meV/atom)"),
    Row("energy_mae_centred_per_atom", "  centred (meV/atom)"),
    Row("efwt", "within thresholds"),
)
"""Rows of the terminal table, and the metrics it knows how to name. Short, so that it fits 80 columns."""

COMPARED = (
    "force_mae",
    "force_rmse",
    "force_cosine",
    "force_magnitude_mae",
    "energy_mae_referenced",
    "energy_mae_centred",
)
"""Metrics in tables that set several runs against each other."""

ACROSS = (
    Row("force_cosine", "cosine"),
    Row("force_magnitude_mae", "\\|F\\| MAE", MEV),
    Row("energy_mae_referenced_per_atom", "E ref."),
    Row("energy_mae_centred_per_atom", "E centred"),
)
"""Columns of the Markdown table after the force MAE, each ID → OOD."""


NOT_KNOWABLE = ("energy_mae_raw", "energy_mae_referenced", "efwt")
"""Beginnings of the names of metrics that hold total energies, which training may not determine."""

MARK = " †"
MARKED = "† not identifiable: total energies of {n} OOD molecules cannot be known from the training compositions"


def is_marked(results: Mapping[str, Any], metric: str, part: str = "ood") -> bool:
    """Whether a metric of the OOD set rests on total energies that the training compositions do not determine.

    Such a value is shown with ``MARK`` and never ranked (docs/energies.md).
    """
    return part != "id" and metric.startswith(NOT_KNOWABLE) and bool(results.get("unidentifiable"))


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
    """What an interval is over, for these numbers of runs that differ in their seed: one run says nothing of others."""
    if max(n_runs) == 1:
        return "over molecules only"
    return "over molecules and seeds" + (", where there are several" if min(n_runs) == 1 else "")


def with_interval(estimate: Estimate, scale: float = 1.0, cosine: bool = False) -> str:
    """``"12.0 [10.9, 13.4]"``; the value alone where there is no interval.

    Args:
        estimate: the metric.
        scale: factor to the unit shown.
        cosine: show four decimals, since three digits of 0.9987 say nothing.
    """
    if estimate.value is None:
        return "–"

    def show(value: float) -> str:
        return f"{value:.4f}" if cosine else significant(scale * value)

    if estimate.low is None or estimate.high is None:
        return show(estimate.value)
    return f"{show(estimate.value)} [{show(estimate.low)}, {show(estimate.high)}]"


def _cell(results: Mapping[str, Any], part: str, row: Row) -> str:
    estimate = estimate_of(results[part], row.metric)
    mark = MARK if is_marked(results, row.metric, part) else ""
    if part == "ratio":
        return with_interval(estimate) + mark
    return with_interval(estimate, row.scale, cosine="cosine" in row.metric) + mark


def copy_of(results: Mapping[str, Any]) -> str:
    """Which copy of a model results are of: its seed; of a calculator whether they are complete."""
    if results["config"].get("model", {}).get("kind") != "calculator":
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
    for row in ROWS:
        if row.metric in results["id"]:
            cells = [_cell(results, part, row).replace(" ", break_at, 1) for part in PARTS]
            table.add_row(row.label, *cells)
        if row.metric == "force_mae" and "ratio_largest_id" in results:
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


WHERE = (
    ("by_element", "element"),
    ("by_end_fragment", "end fragment"),
    ("by_ch2", "CH2"),
    ("by_force", "|F| (eV/Å)"),
    ("by_contact", "contacts"),
    ("by_touching", "fragments"),
    ("by_distance", "bonds to novelty"),
)


def where_table(results: Mapping[str, Any]) -> Table:
    """Where the force error of one run lives: by element, end fragment, contacts and distance from the novelty."""
    table = Table(title="force MAE (meV/Å): where the error lives", box=box.SIMPLE_HEAD, show_edge=False, min_width=42)
    table.add_column("by")
    table.add_column("")
    for heading in ("ID", "OOD"):
        table.add_column(heading, justify="right", no_wrap=True)
    for key, label in WHERE:
        blocks = results.get(key)
        if not blocks or not any(blocks.values()):
            continue
        names = list(dict.fromkeys(name for part in ("id", "ood") for name in blocks.get(part, {})))
        for index, name in enumerate(names):
            cells = [
                with_interval(estimate_of(blocks.get(part, {}).get(name, {}), "force_mae"), MEV)
                if name in blocks.get(part, {})
                else ""
                for part in ("id", "ood")
            ]
            table.add_row(label if index == 0 else "", name, *cells, end_section=index == len(names) - 1)
    return table


def comparison_cells(group: Group) -> list[str]:
    """Cells of one row of the table across runs, after task and model."""
    sets = group.comparison
    cells = [
        with_interval(sets.id.estimate("force_mae"), MEV),
        with_interval(sets.ood.estimate("force_mae"), MEV),
        with_interval(sets.ratio.estimate("force_mae")),
    ]
    for row in ACROSS:
        cosine = "cosine" in row.metric
        pair = [Estimate(estimate.value) for estimate in (sets.id.estimate(row.metric), sets.ood.estimate(row.metric))]
        mark = MARK if is_marked(group.runs[0], row.metric) else ""
        cells.append(" → ".join(with_interval(item, row.scale, cosine) for item in pair) + mark)
    return cells


HEADINGS = ("task", "model", "seeds", "force MAE, ID", "force MAE, OOD", "OOD / ID", *(row.label for row in ACROSS))
FORCE_COLUMNS = 6
"""Leading columns that hold no more than the force MAE."""

CAPTION = (
    "Force MAE and |F| MAE in meV/Å, energies in meV an atom (referenced: a per-element fit on train taken "
    "out; centred: each molecule's mean taken out); ID → OOD; [95% interval over molecules and seeds; of one seed over "
    "molecules only]; † not identifiable from the training compositions."
)


def across_rows(results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Cells of the table across runs; runs that differ in their seed only are one row."""
    return [[group.task, group.model, str(len(group.runs)), *comparison_cells(group)] for group in group_runs(results)]


def markdown_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Task × model in Markdown: force MAE ID, OOD and ratio with intervals, cosine, magnitude, energies."""
    lines = [
        "| " + " | ".join(HEADINGS) + " |",
        "| " + " | ".join("---" if i < 2 else "---:" for i in range(len(HEADINGS))) + " |",
        *("| " + " | ".join([f"`{row[0]}`", *row[1:]]) + " |" for row in across_rows(results)),
    ]
    return "\n".join(lines) + f"\n\n{CAPTION}\n"


def across_table(results: Sequence[Mapping[str, Any]], width: int = WIDE_ACROSS) -> Table:
    """The same for the terminal: values above their intervals, and nothing but force MAE where it is narrow."""
    shown = len(HEADINGS) if width >= WIDE_ACROSS else FORCE_COLUMNS
    table = Table(caption=escape(CAPTION), box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("task, model", overflow="fold")
    for heading in HEADINGS[3:shown]:
        table.add_column(heading.replace("\\", "").replace(", ", "\n"), justify="right", no_wrap=True)
    for task, model, seeds, *cells in across_rows(results):
        name = f"{task}\n{model}" + (f", {seeds} seeds" if seeds != "1" else "")
        broken = [cell.replace(" → ", "\n→ ").replace(" [", "\n[") for cell in cells[: shown - 3]]
        table.add_row(escape(name), *map(escape, broken))
    return table
