"""The compositional gap of runs on a task and its controls, as a table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import RunError
from compbench_jax.evaluation.gap import Control, Gap, compositional_gap
from compbench_jax.evaluation.identity import recipe
from compbench_jax.metrics.aggregate import SCORES, metrics_from_sums
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.report.runs import Results, stacked_sums
from compbench_jax.report.table import is_marked, over, with_interval
from compbench_jax.splits.roles import inner_task

WIDE_GAP = 130
"""Columns of a terminal that the table needs with values and intervals side by side."""


@dataclass(frozen=True)
class ControlledRuns:
    """Runs of one model on a task, on its random control and on its oracle.

    Attributes:
        task: name of the task.
        runs: on the task; they differ in their seed.
        controls: on its random control; seeds and random splits may differ.
        oracles: on its oracle.
    """

    task: str
    runs: tuple[Results, ...]
    controls: tuple[Results, ...]
    oracles: tuple[Results, ...]


def place_of(results: Results) -> tuple[str, str]:
    """The task that results are for, and the field of :class:`ControlledRuns` that they belong to."""
    task, field = results["task"], {"control": "controls", "oracle": "oracles"}.get(results["role"], "runs")
    return (task if field == "runs" else inner_task(task)), field


def controlled_runs(results: Sequence[Results]) -> list[ControlledRuns]:
    """Group results by model, settings and data into task, control and oracle.

    Raises:
        RunError: a task lacks its control or oracle, or there is no task.
    """
    found: dict[str, dict[str, list[Results]]] = {}
    for item in results:
        task, role = place_of(item)
        key = json.dumps([task, item["model"], item["data"], recipe(item["config"])], sort_keys=True)
        found.setdefault(key, {"runs": [], "controls": [], "oracles": []})[role].append(item)
    all_controlled = []
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
                f"{model}: a gap needs {' and '.join(missing)} as well as {given}, trained with the same settings on "
                "the same data: train with --with-controls"
            )
        all_controlled.append(ControlledRuns(task, *(tuple(roles[role]) for role in ("runs", "controls", "oracles"))))
    return all_controlled


def gap_of(controlled: ControlledRuns) -> Gap:
    """The gap of one model on one task, see :func:`compbench_jax.evaluation.gap.compositional_gap`."""
    first = controlled.runs[0]
    return compositional_gap(
        stacked_sums(controlled.runs, "ood", first),
        [Control(item.inchikeys("ood"), item.sums("ood")) for item in controlled.controls],
        stacked_sums(controlled.oracles, "ood", first),
        metrics_from_sums,
        SCORES,
    )


def gap_table(controlled: ControlledRuns, gap: Gap, width: int = WIDE_GAP) -> Table:
    """OOD errors of task, control and oracle, and the gap, with 95% intervals."""
    runs = ", ".join(
        f"{count} {what}{'s' * (count != 1)}"
        for count, what in (
            (len(controlled.runs), "run"),
            (len(controlled.controls), "control"),
            (len(controlled.oracles), "oracle"),
        )
    )
    table = Table(
        title=escape(f"{controlled.runs[0]['model']} on {controlled.task}: compositional gap ({runs})"),
        caption=escape(
            "OOD error of the task, of a random split of the same molecules, and of training on the OOD molecules too; "
            "task / oracle: generalisation gap; gap: compositional gap, (task − control) / oracle; "
            f"[95% interval {over(len(controlled.runs), len(controlled.controls), len(controlled.oracles))}]"
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
    for metric in METRICS.values():
        if not metric.compared or is_marked(controlled.runs[0], metric.name):
            continue  # where the task's total energies cannot be known, those of its oracle can
        sets = (gap.task, gap.control, gap.oracle)
        cells = [with_interval(item.estimate(metric.name), metric.scale) for item in sets]
        cells += [with_interval(item.estimate(metric.name)) for item in (gap.unseen, gap.gap)]
        label = f"1 − {metric.heading}" if metric.higher_is_better else metric.heading
        table.add_row(label, *(cell.replace(" ", break_at, 1) for cell in cells))
    return table
