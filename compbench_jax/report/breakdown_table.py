"""Error breakdown of one run or of several that differ in their seed, as tables and as data for plots."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import RunError
from compbench_jax.evaluation.breakdowns import BREAKDOWNS, Breakdown, in_order
from compbench_jax.evaluation.intervals import Estimate, measure
from compbench_jax.files import save
from compbench_jax.metrics.aggregate import SCORES, SUM_COLUMNS
from compbench_jax.metrics.definitions import metrics_of
from compbench_jax.report.runs import PARTS, Results
from compbench_jax.report.table import MEV, over, with_interval


@dataclass(frozen=True)
class BreakdownRow:
    """The force error of the atoms of one group.

    Attributes:
        part: ``"id"`` or ``"ood"``.
        by: key of ``BREAKDOWNS``.
        group: which atoms.
        n_molecules: molecules that have such atoms; intervals are over these, and over seeds where there are several.
        n_atoms: atoms over all frames of one run.
        atom_share: of all atoms of the set; end fragments overlap, so theirs do not add up to 1.
        error_share: of the sum of |ΔF| over the set, likewise.
        force_mae: eV/Å.
        force_rmse: eV/Å.
    """

    part: str
    by: str
    group: str
    n_molecules: int
    n_atoms: int
    atom_share: float
    error_share: float
    force_mae: Estimate
    force_rmse: Estimate


def breakdown_rows(runs: Sequence[Results]) -> list[BreakdownRow]:
    """All breakdowns of runs that differ in their seed only, with 95% intervals over molecules and seeds.

    Raises:
        RunError: the runs are of other atoms.
    """
    rows = []
    for part in PARTS:
        for item in BREAKDOWNS.values():
            groups = runs[0].groups(item, part) if part in item.sets else []
            if any(sorted(run.groups(item, part)) != sorted(groups) for run in runs if groups):
                raise RunError(_other_atoms(part, item))
            rows += [_row(runs, part, item, group) for group in groups]
    return rows


def _row(runs: Sequence[Results], part: str, item: Breakdown, group: str) -> BreakdownRow:
    keys: list[str] = []
    stacked = []
    for run in runs:
        found, own = run.group_sums(item, part, group), run.inchikeys(part)
        place = {own[molecule]: row for molecule, row in zip(found.molecules, found.sums, strict=True)}
        keys = keys or list(place)
        if set(place) != set(keys):
            raise RunError(_other_atoms(part, item))
        stacked.append([place[key] for key in keys])
    sums = np.array(stacked)
    measured = measure(sums, partial(metrics_of, columns=found.columns), SCORES, part)
    atoms, error = (found.columns.index(name) for name in ("atoms", "abs_force"))
    own_sum = sums.sum(axis=(0, 1))
    of_set = sum(run.sums(part).sum(axis=0) for run in runs)
    n_atoms, total = (of_set[SUM_COLUMNS.index(name)] for name in ("atoms", "abs_force"))
    return BreakdownRow(
        part,
        item.name,
        group,
        sums.shape[1],
        round(own_sum[atoms] / len(runs)),
        float(own_sum[atoms] / n_atoms),
        float(own_sum[error] / total) if total else 0.0,
        measured.estimate("force_mae"),
        measured.estimate("force_rmse"),
    )


def _other_atoms(part: str, item: Breakdown) -> str:
    return f"the runs differ in the {part.upper()} atoms that {item.heading} divides: give runs on the same data"


def breakdown_table(runs: Sequence[Results], rows: Sequence[BreakdownRow]) -> Table:
    """ID next to OOD for every group: force MAE with interval, share of the atoms and of the error."""
    first = runs[0]
    seeds = f"seed {first['seed']}" if len(runs) == 1 else f"{len(runs)} seeds"
    table = Table(
        title=escape(f"{first['model']} on {first['task']}, {seeds}: error breakdown"),
        caption=f"force MAE in meV/Å [95% interval {over(len(runs))}]; share of the set's atoms → of its error",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for heading in ("by", ""):
        table.add_column(heading, no_wrap=True)
    for part in PARTS:
        table.add_column(f"{part.upper()} force MAE", justify="right", no_wrap=True)
        table.add_column("atoms → error", justify="right", no_wrap=True)
    for item in BREAKDOWNS.values():
        if item.name == "n":  # evaluate.py shows it, and the CSV file has it
            continue
        place = {(row.part, row.group): row for row in rows if row.by == item.name}
        groups = in_order(item, [group for _, group in place])
        for index, group in enumerate(groups):
            cells = []
            for part in PARTS:
                row = place.get((part, group))
                share = "" if row is None else f"{row.atom_share:.0%} → {row.error_share:.0%}"
                cells += ["" if row is None else with_interval(row.force_mae, MEV), share]
            end = index == len(groups) - 1
            table.add_row(item.heading if not index else "", escape(group), *map(escape, cells), end_section=end)
    return table


COLUMNS = (
    "task",
    "model",
    "seeds",
    "set",
    "by",
    "group",
    "n_molecules",
    "n_atoms",
    "atom_share",
    "error_share",
    *(f"{name}{end}" for name in ("force_mae", "force_rmse") for end in ("", "_low", "_high")),
)
"""Columns of the CSV file; forces in eV/Å."""


def write_csv(path: Path, found: Sequence[tuple[Sequence[Results], Sequence[BreakdownRow]]]) -> None:
    """All rows of several groups of runs as one tidy CSV file; an interval that is not defined is empty.

    Raises:
        RunError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for runs, rows in found:
        for row in rows:
            estimates = [
                "" if value is None else f"{value:.6g}"
                for item in (row.force_mae, row.force_rmse)
                for value in (item.value, item.low, item.high)
            ]
            shares = f"{row.atom_share:.6g}", f"{row.error_share:.6g}"
            which = runs[0]["task"], runs[0]["model"], len(runs), row.part, row.by, row.group
            writer.writerow([*which, row.n_molecules, row.n_atoms, *shares, *estimates])
    save(path, text.getvalue().encode())
