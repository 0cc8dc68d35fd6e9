"""The compositional gap of runs on a task and its controls, as a table."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import RunError
from compbench_jax.evaluation.gap import Control, Gap, compositional_gap
from compbench_jax.evaluation.results import molecule_sums
from compbench_jax.metrics.aggregate import LARGER_IS_BETTER, SUM_COLUMNS, metrics_from_sums
from compbench_jax.report.runs import Results, recipe, stacked_sums
from compbench_jax.report.table import COMPARED, ROWS, is_marked, over, with_interval

WIDE_GAP = 130
"""Columns of a terminal that the table needs with values and intervals side by side."""


@dataclass(frozen=True)
class Trio:
    """Runs of one model on a task, on its random control and on its oracle.

    Attributes:
        task: name of the task.
        runs: on the task; copies that differ in their seed.
        controls: on its random control; seeds and random splits may differ.
        oracles: on its oracle.
    """

    task: str
    runs: tuple[Results, ...]
    controls: tuple[Results, ...]
    oracles: tuple[Results, ...]


def role_of(task: str) -> tuple[str, str]:
    """The task behind a name, and ``"runs"``, ``"controls"`` or ``"oracles"``."""
    control = re.fullmatch(r"(control_random|oracle)\((.*?)(?:,seed=\d+)?\)", task)
    if control is None:
        return task, "runs"
    return control[2], {"control_random": "controls", "oracle": "oracles"}[control[1]]


def trios_of(results: Sequence[Results]) -> list[Trio]:
    """Put together what belongs together: one model with the same settings on the same data.

    Raises:
        RunError: a task lacks its control or oracle, or there is no task.
    """
    found: dict[str, dict[str, list[Results]]] = {}
    for item in results:
        task, role = role_of(item["task"])
        key = json.dumps([task, item["model"], item["data"], recipe(item)], sort_keys=True)
        found.setdefault(key, {"runs": [], "controls": [], "oracles": []})[role].append(item)
    trios = []
    for key, roles in found.items():
        task, model = json.loads(key)[:2]
        missing = [
            name
            for role, name in (("runs", task), ("controls", f"control_random({task})"), ("oracles", f"oracle({task})"))
            if not roles[role]
        ]
        if missing:
            given = ", ".join(item["task"] for items in roles.values() for item in items)
            raise RunError(
                f"{model}: a gap needs {' and '.join(missing)} beside {given}, trained with the same settings on the "
                "same data: train with --with-controls"
            )
        trios.append(Trio(task, *(tuple(roles[role]) for role in ("runs", "controls", "oracles"))))
    return trios


def gap_of(trio: Trio, *_: object) -> Gap:
    """The gap of one model on one task, see :func:`compbench_jax.evaluation.gap.compositional_gap`."""
    first = trio.runs[0]
    return compositional_gap(
        stacked_sums(trio.runs, "ood", first),
        [Control(*molecule_sums(item, "ood", SUM_COLUMNS)) for item in trio.controls],
        stacked_sums(trio.oracles, "ood", first),
        metrics_from_sums,
        LARGER_IS_BETTER,
    )


def gap_table(trio: Trio, gap: Gap, width: int = WIDE_GAP) -> Table:
    """OOD errors of task, control and oracle, and the gap, with 95% intervals."""
    copies = ", ".join(
        f"{count} {what}{'s' * (count != 1)}"
        for count, what in ((len(trio.runs), "run"), (len(trio.controls), "control"), (len(trio.oracles), "oracle"))
    )
    table = Table(
        title=escape(f"{trio.runs[0]['model']} on {trio.task}: compositional gap ({copies})"),
        caption=escape(
            "OOD error of the task, of a random split of the same molecules, and of training on the OOD molecules too; "
            "task / oracle: the price of not having seen them; gap = (task − control) / oracle; "
            f"[95% interval {over(len(trio.runs), len(trio.controls), len(trio.oracles))}]"
        ),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("metric", no_wrap=True)
    for heading in ("task", "control", "oracle", "task / oracle", "gap"):
        table.add_column(heading, justify="right")  # where it is too narrow, intervals go on two lines
    break_at = "\n" if width < WIDE_GAP else " "
    for row in ROWS:
        if row.metric not in COMPARED:
            continue
        cells = [with_interval(item.estimate(row.metric), row.scale) for item in (gap.task, gap.control, gap.oracle)]
        cells += [with_interval(item.estimate(row.metric)) for item in (gap.unseen, gap.gap)]
        if is_marked(trio.runs[0], row.metric):
            continue  # the task's total energies cannot be known, those of its oracle can
        label = f"1 − {row.label}" if row.metric in LARGER_IS_BETTER else row.label
        table.add_row(label, *(cell.replace(" ", break_at, 1) for cell in cells))
    return table
