"""Where the force error lives, of one run or of several that differ in their seed, as tables and as data for plots."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import RunError
from compbench_jax.evaluation.intervals import Estimate, measure
from compbench_jax.evaluation.results import save
from compbench_jax.metrics.aggregate import LARGER_IS_BETTER, force_metrics
from compbench_jax.metrics.sums import ATOM_COLUMNS
from compbench_jax.report.table import MEV, over, with_interval

PARTS = ("id", "ood")
BREAKDOWNS = {
    "distance": "bonds to novelty",
    "distance_element": "bonds, element",
    "element": "element",
    "end_fragment": "end fragment",
    "ch2": "CH2",
    "n": "carbons n",
    "force": "|F| (eV/Å)",
    "contact": "contacts",
}
"""Breakdowns in the order of the tables, and their headings."""

ATOMS, ABSOLUTE = ATOM_COLUMNS.index("atoms"), ATOM_COLUMNS.index("abs_force")

Where = Mapping[str, Any]


@dataclass(frozen=True)
class WhereRow:
    """The force error of the atoms with one label.

    Attributes:
        part: ``"id"`` or ``"ood"``.
        by: key of ``BREAKDOWNS``.
        label: which atoms.
        n_molecules: molecules that have such atoms; intervals are over these, and over seeds where there are several.
        n_atoms: atoms over all frames of one run.
        atom_share: of all atoms of the set; end fragments overlap, so theirs do not add up to 1.
        error_share: of the sum of |ΔF| over the set, likewise.
        force_mae: eV/Å.
        force_rmse: eV/Å.
    """

    part: str
    by: str
    label: str
    n_molecules: int
    n_atoms: int
    atom_share: float
    error_share: float
    force_mae: Estimate
    force_rmse: Estimate


def where_rows(runs: Sequence[Where], *_: object) -> list[WhereRow]:
    """All breakdowns of runs that differ in their seed only, with 95% intervals over molecules and seeds.

    Args:
        runs: contents of their ``where.json``.

    Raises:
        RunError: the runs are of other atoms.
    """
    rows = []
    for part in PARTS:
        for by in BREAKDOWNS:
            found = [_sums_by(run, part, by) for run in runs]
            if any(
                {k: list(v) for k, v in item.items()} != {k: list(v) for k, v in found[0].items()} for item in found
            ):
                raise RunError(f"the runs differ in the {part.upper()} atoms that {BREAKDOWNS[by]} divides")
            total = sum(np.sum(list(_molecule_sums(run, part).values()), axis=0) for run in runs)
            for label in found[0]:
                sums = np.array([list(item[label].values()) for item in found])
                rows.append(_row(part, by, label, sums, total))
    return rows


def _row(part: str, by: str, label: str, sums: np.ndarray, total: np.ndarray) -> WhereRow:
    """One row from sums ``[n_runs, n_molecules, n_columns]`` and those of the whole set, over all runs."""
    found = measure(sums, force_metrics, LARGER_IS_BETTER, part)
    own = sums.sum(axis=(0, 1))
    return WhereRow(
        part,
        by,
        label,
        sums.shape[1],
        round(own[ATOMS] / len(sums)),
        float(own[ATOMS] / total[ATOMS]),
        float(own[ABSOLUTE] / total[ABSOLUTE]) if total[ABSOLUTE] else 0.0,
        found.estimate("force_mae"),
        found.estimate("force_rmse"),
    )


def _molecule_sums(run: Where, part: str) -> dict[str, np.ndarray]:
    """Sums of each molecule over its atoms: every atom has one element."""
    totals: dict[str, np.ndarray] = {}
    for molecules in run["sums"][part]["element"].values():
        for key, row in molecules.items():
            totals[key] = totals.get(key, 0.0) + np.array(row, np.float64)
    return totals


def _sums_by(run: Where, part: str, by: str) -> dict[str, dict[str, Any]]:
    """Sums by label and molecule, the molecules of every label in the same order for all runs."""
    if by in ("end_fragment", "ch2", "n"):
        totals, found = _molecule_sums(run, part), dict[str, dict[str, Any]]()
        for key, molecule in run["molecules"][part].items():
            labels = (molecule["ends"] or ()) if by == "end_fragment" else [molecule[by]]
            for label in dict.fromkeys(str(item) for item in labels if item is not None):
                found.setdefault(label, {})[key] = totals[key]
        if by != "end_fragment":
            found = dict(sorted(found.items(), key=lambda item: int(item[0])))
    else:
        found = run["sums"][part].get(by, {})
    return {label: dict(sorted(molecules.items())) for label, molecules in found.items()}


def where_table(runs: Sequence[Where], rows: Sequence[WhereRow]) -> Table:
    """ID beside OOD for every label: force MAE with interval, share of the atoms and of the error."""
    first = runs[0]
    seeds = f"seed {first['seed']}" if len(runs) == 1 else f"{len(runs)} seeds"
    table = Table(
        title=escape(f"{first['model']} on {first['task']}, {seeds}: where the force error lives"),
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
    for by, heading in BREAKDOWNS.items():
        if by == "n":  # evaluate.py shows it, and the CSV file has it
            continue
        place = {(row.part, row.label): row for row in rows if row.by == by}
        labels = _ordered([label for _, label in place], numeric=by == "ch2")
        for index, label in enumerate(labels):
            cells = []
            for part in PARTS:
                row = place.get((part, label))
                share = "" if row is None else f"{row.atom_share:.0%} → {row.error_share:.0%}"
                cells += ["" if row is None else with_interval(row.force_mae, MEV), share]
            end = index == len(labels) - 1
            table.add_row(heading if not index else "", escape(label), *map(escape, cells), end_section=end)
    return table


def _ordered(labels: Sequence[str], numeric: bool) -> list[str]:
    unique = list(dict.fromkeys(labels))
    return sorted(unique, key=int) if numeric else unique


COLUMNS = (
    "task",
    "model",
    "seeds",
    "set",
    "by",
    "label",
    "n_molecules",
    "n_atoms",
    "atom_share",
    "error_share",
    *(f"{name}{end}" for name in ("force_mae", "force_rmse") for end in ("", "_low", "_high")),
)
"""Columns of the CSV file; forces in eV/Å."""


def write_csv(path: Path, found: Sequence[tuple[Sequence[Where], Sequence[WhereRow]]]) -> None:
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
            which = runs[0]["task"], runs[0]["model"], len(runs), row.part, row.by, row.label
            writer.writerow([*which, row.n_molecules, row.n_atoms, *shares, *estimates])
    save(path, text.getvalue().encode())
