"""Two runs on the same frames: paired differences, and OOD errors at matched ID error."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import RunError
from compbench_jax.evaluation.bootstrap import Comparison, paired_difference
from compbench_jax.report.curves import match, read_curve
from compbench_jax.report.runs import PARTS, Results, check_comparable, pool
from compbench_jax.report.table import ROWS, significant, with_interval

COMPARED = (
    "force_mae",
    "force_rmse",
    "force_cosine",
    "force_magnitude_mae",
    "energy_mae_referenced",
    "energy_mae_centred",
)
"""Metrics that the table of differences shows."""


def paired(a: Results, b: Results, samples: int, seed: int) -> tuple[Comparison, Comparison, Comparison]:
    """A, B, and B − A on the same draws of the same molecules.

    Raises:
        RunError: the runs were not evaluated on the same frames.
    """
    check_comparable(a, b)
    both = [pool([run], samples, seed, like=a) for run in (a, b)]
    return both[0], both[1], paired_difference(both[0], both[1])


def paired_table(a: Results, b: Results, samples: int = 1000, seed: int = 0) -> Table:
    """Every metric of A and B and their difference B − A, ID, OOD and ratio, with paired 95% intervals."""
    of_a, of_b, difference = paired(a, b, samples, seed)
    table = Table(
        title=escape(f"{a['task']}: A = {a['model']}, seed {a['seed']}; B = {b['model']}, seed {b['seed']}"),
        caption="[95% interval of the difference: paired bootstrap over molecules]",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for index, heading in enumerate(("metric", "set", "A", "B", "B − A")):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for row in ROWS:
        if row.metric not in COMPARED:
            continue
        for part in (*PARTS, "ratio"):
            scale = 1.0 if part == "ratio" else row.scale
            cosine = "cosine" in row.metric and part != "ratio"
            values = [getattr(side, part).estimate(row.metric) for side in (of_a, of_b)]
            shown = [
                f"{v.value:.4f}"
                if cosine and v.value is not None
                else significant(None if v.value is None else scale * v.value)
                for v in values
            ]
            gap = with_interval(getattr(difference, part).estimate(row.metric), scale, cosine)
            table.add_row(
                row.label if part == "id" else "",
                part.upper() if part != "ratio" else "ratio",
                *shown,
                gap,
                end_section=part == "ratio",
            )
    return table


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
        f"{name} {significant(1000 * ood)} (step {step:.0f})"
        for name, ood, step in zip("ABCDEFGH", matched.ood, matched.step, strict=False)
    )
    return (
        f"OOD force MAE (meV/Å) where the ID force MAE is {significant(1000 * matched.id)} (monitor frames): {values}"
    )
