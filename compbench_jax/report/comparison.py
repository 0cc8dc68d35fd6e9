"""Two models on the same frames: paired differences, which is better, and OOD errors at matched ID error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import RunError
from compbench_jax.evaluation.intervals import FEWEST, Comparison, Estimate, paired_difference
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.report.curves import match, read_curve
from compbench_jax.report.runs import PARTS, Results, check_comparable, group_runs, pool
from compbench_jax.report.table import MARK, MARKED, MEV, is_marked, over, significant, with_interval

WIDE_PAIRED = 92
"""Columns of a terminal that the table needs with differences and intervals side by side."""


@dataclass(frozen=True, eq=False)
class Paired:
    """Two models on the same frames.

    Attributes:
        a: metrics of A; of several seeds the mean.
        b: of B.
        difference: B − A on the same molecules.
        n_seeds: the smaller number of seeds; calculators, which have none, are left out.
    """

    a: Comparison
    b: Comparison
    difference: Comparison
    n_seeds: int


def paired(a: Sequence[Results], b: Sequence[Results]) -> Paired:
    """Compare two models, each of one run or of several that differ in their seed.

    Raises:
        RunError: the runs were not evaluated on the same frames, or those of one side differ in more than their seed.
    """
    for side in (a, b):
        if len(group_runs(side)) > 1:
            raise RunError(
                f"the runs of {side[0]['model']} on one side differ in more than their seed: give one model per side"
            )
    for run in (*a[1:], *b):
        check_comparable(a[0], run)
    both = [pool(runs, like=a[0]) for runs in (a, b)]
    n_seeds = min((len(runs) for runs in (a, b) if runs[0]["kind"] != "foreign"), default=2)
    return Paired(both[0], both[1], paired_difference(*both), n_seeds)


def seeds_of(runs: Sequence[Results]) -> str:
    """``"mace, seed 0"`` or ``"mace, 3 seeds"``."""
    return f"{runs[0]['model']}, " + (f"seed {runs[0]['seed']}" if len(runs) == 1 else f"{len(runs)} seeds")


def paired_table(a: Sequence[Results], b: Sequence[Results], found: Paired, width: int = WIDE_PAIRED) -> Table:
    """Every metric of A and B and their difference B − A, ID, OOD and ratio, with paired 95% intervals and p values."""
    table = Table(
        title=escape(f"{a[0]['task']}: A = {seeds_of(a)}; B = {seeds_of(b)}"),
        caption=f"[95% interval of the difference, paired by molecule, {over(found.n_seeds)}]; p: t test of the same "
        "difference" + (f"; {MARKED.format(n=len(a[0]['unidentifiable']))}" if a[0].get("unidentifiable") else ""),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for index, heading in enumerate(("metric", "set", "A", "B", "B − A", "p")):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for metric in METRICS.values():
        if not metric.compared:
            continue
        for part in (*PARTS, "ratio"):
            marked = is_marked(a[0], metric.name, part)
            scale, decimals = (1.0, None) if part == "ratio" else (metric.scale, metric.decimals)
            values = [getattr(side, part).estimate(metric.name).value for side in (found.a, found.b)]
            shown = [with_interval(Estimate(value), scale, decimals) for value in values]
            gap = with_interval(getattr(found.difference, part).estimate(metric.name), scale, decimals)
            gap = gap if width >= WIDE_PAIRED else gap.replace(" ", "\n", 1)
            table.add_row(
                metric.heading if part == "id" else "",
                part.upper() if part != "ratio" else "ratio",
                *(value + MARK * marked for value in shown),
                "not compared" if marked else gap,
                "" if marked else p_text(getattr(found.difference, part).p(metric.name)),
                end_section=part == "ratio",
            )
    return table


def p_text(p: float | None, equals: str = "") -> str:
    """A p value to two digits; below 0.0002, where it rests on the shape of the tails, as a bound."""
    if p is None:
        return "–"
    return "< 0.0002" if p < 0.0002 else f"{equals}{p:.2g}"


def verdict(found: Paired, part: str) -> str:
    """Which has the smaller force MAE on ``"id"`` or ``"ood"``, or the smaller ratio, or that the two are not
    significantly different (:meth:`compbench_jax.evaluation.intervals.Measured.differs`).
    """
    metric, ratio = "force_mae", part == "ratio"
    values = [getattr(side, part).values[metric] for side in (found.a, found.b)]
    item = getattr(found.difference, part)
    name = {"id": "ID force MAE", "ood": "OOD force MAE", "ratio": "OOD / ID of the force MAE"}[part]
    scale, unit = (1.0, "") if ratio else (MEV, " meV/Å")
    p = item.p(metric)
    figures = f"B − A = {with_interval(item.estimate(metric), scale)}{unit}" + (
        f"; fewer than {FEWEST} molecules: no interval" if p is None else f", p {p_text(p, '= ')}"
    )
    if found.n_seeds < 2:
        figures += "; molecules only, other seeds may differ"
    if not item.differs(metric):
        return f"{name}: not significantly different ({figures})"
    better = "B" if values[1] < values[0] else "A"
    shown = [significant(scale * value) for value in values]
    return f"{name}: {better} is better, A {shown[0]}, B {shown[1]}{unit} ({figures})"


def matched_line(runs: Sequence[Path]) -> str:
    """OOD force MAE of the runs where their ID force MAE is the same, in one line of text."""
    try:
        curves = [read_curve(run) for run in runs]
    except RunError as error:
        return f"matched ID error: not available ({error})"
    matched = match(curves)
    if matched is None:
        return "matched ID error: the training curves share no ID error"
    values = ", ".join(
        f"{name} {significant(1000 * crossing.ood)} (step {crossing.step:.0f})"
        for name, crossing in zip("ABCDEFGH", matched.crossings, strict=False)
        if crossing is not None
    )
    return (
        f"OOD force MAE (meV/Å) where the ID force MAE is {significant(1000 * matched.id)} (monitor frames): {values}"
    )
