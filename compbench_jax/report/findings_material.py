"""Results sorted into what findings compare, and the cells that their tables are made of."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.gap import Gap
from compbench_jax.report.curves import Curve, read_curve
from compbench_jax.report.drawing import MEV
from compbench_jax.report.gap import ControlledRuns, controlled_runs, gap_of, place_of
from compbench_jax.report.leaderboard import METRIC, Row, Source, kind_of_task, leaderboard, tasks_of
from compbench_jax.report.runs import Results
from compbench_jax.report.table import significant

NOTHING = "No results for this yet."
LEARNT = ("trained", "fine-tuned", "zero-shot")
"""Kinds of rows that are potentials that learnt something somewhere; the others are baselines and calculators."""

KINDS = (*LEARNT, "baseline", "foreign")
"""Kinds of rows in the order to show them."""


@dataclass(frozen=True, eq=False)
class Material:
    """Results as the blocks take them.

    Attributes:
        rows: of the leaderboard, without controls; within a task by kind, then by name.
        gaps: runs with their controls, and the compositional gap.
        facts: the published numbers.
        main: kinds of the tasks of the headline.
        others: rows of controls and other trainings of the tasks.
    """

    rows: list[Row]
    gaps: list[tuple[ControlledRuns, Gap]]
    facts: Mapping[str, Any]
    main: frozenset[str]
    others: list[Row] = field(default_factory=list)

    def of(self, task: str, kinds: Sequence[str] = LEARNT) -> list[Row]:
        """Rows of a task, by kind."""
        return [row for row in self.rows if row.task == task and row.kind in kinds]


def material(
    sources: Sequence[Source], order: Sequence[str], facts: Mapping[str, Any], main: Collection[str]
) -> Material:
    """Sort results into what is compared with what.

    Args:
        sources: results, those of controls among them. A control without its oracle, or the other way round, waits for
            it and is left out of the gaps, and so does a seed without its controls.
        order: kinds of tasks in the order to show them.
        facts: the published numbers.
        main: kinds of the tasks of the headline.
    """
    plain = [source for source in sources if source.results["role"] in ("task", "pretraining")]
    rows = leaderboard(plain, order)
    tasks = tasks_of(rows)
    rows.sort(key=lambda row: (tasks.index(row.task), KINDS.index(row.kind), row.model))
    others = leaderboard([source for source in sources if source not in plain], order)
    return Material(rows, gaps_of(sources, order), facts, frozenset(main), others)


def gaps_of(sources: Iterable[Source], order: Sequence[str]) -> list[tuple[ControlledRuns, Gap]]:
    """Runs with their controls, and the compositional gap, in this order of kinds of tasks; see :func:`material`."""
    # Pre-trained potentials have no controls of their own.
    roles = ("task", "control", "oracle")
    compared = [item.results for item in sources if item.results["kind"] == "trained" and item.results["role"] in roles]
    all_controlled = controlled_runs(with_all_roles(compared))
    kinds = [*order, *(kind_of_task(controlled.task) for controlled in all_controlled)]
    all_controlled.sort(
        key=lambda controlled: (kinds.index(kind_of_task(controlled.task)), controlled.runs[0]["model"])
    )
    return [(controlled, gap_of(controlled)) for controlled in all_controlled]


def with_all_roles(results: Sequence[Results]) -> list[Results]:
    """Those of a model, a task and a seed for which there are runs, random controls and oracles.

    Seeds differ by as much as a task from its oracle, so a seed without its controls is not compared with others'.
    """
    found: dict[tuple[str, str, int], dict[str, list[Results]]] = {}
    for item in results:
        task, role = place_of(item)
        found.setdefault((item["model"], task, item["seed"]), {}).setdefault(role, []).append(item)
    return [item for roles in found.values() if len(roles) == 3 for items in roles.values() for item in items]


def markdown(headings: Sequence[str], lines: Iterable[Sequence[str]], names: int = 1) -> str:
    """A table whose first columns are names and whose others are numbers."""
    body = [list(line) for line in lines]
    if not body:
        return NOTHING
    rule = ["---" if k < names else "---:" for k in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [list(headings), rule, *body])


def pair(row: Row, metric: str = METRIC, scale: float = MEV) -> str:
    """``"14.5 → 20.4 (1.41)"``: ID, OOD and their ratio."""
    inside, outside, ratio = (row.estimate(part, metric).value for part in ("id", "ood", "ratio"))
    shown = [significant(None if value is None else scale * value) for value in (inside, outside)]
    return f"{shown[0]} → {shown[1]} ({significant(ratio)})"


def mean_of(row: Row, key: str, part: str, label: str, metric: str = METRIC) -> float | None:
    """A metric of one label of a breakdown, the mean over the seeds; None where there is none."""
    blocks = [run.get(key, {}).get(part, {}).get(label, {}).get(metric) for run in row.group.runs]
    values = [block["value"] for block in blocks if block and block["value"] is not None]
    return statistics.fmean(values) if len(values) == len(blocks) else None


def ranges(values: Sequence[float], digits: int = 2) -> str:
    """``"1.1 to 1.9"``, or the value of one."""
    low, high = (significant(pick(values), digits) for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def curves_of(row: Row) -> list[Curve]:
    """Training curves of a row's runs; none where a log is missing."""
    try:
        return [read_curve(source.folder) for source in row.sources]
    except RunError:
        return []


def mean_curve(row: Row) -> Curve | None:
    """The training curve of a row: the mean over its seeds, which are evaluated at the same steps."""
    curves = curves_of(row)
    if not curves or not all(np.array_equal(curve.step, curves[0].step) for curve in curves):
        return None
    return Curve(
        curves[0].step,
        np.mean([curve.id for curve in curves], axis=0),
        np.mean([curve.ood for curve in curves], axis=0),
    )
