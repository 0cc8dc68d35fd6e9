"""The leaderboard for papers: CSV, LaTeX, and figures as PDF."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.files import save
from compbench_jax.report.figure import force_mae_figure
from compbench_jax.report.leaderboard import Row, as_records, slug, tasks_of
from compbench_jax.report.overview import overview_figure
from compbench_jax.report.table import MEV, significant

LATEX_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """All metrics of all rows with their intervals, eV and eV/Å, one line per task and model.

    Raises:
        RunError: the file could not be written.
    """
    records = as_records(rows)
    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in record.items()} for record in records)
    save(path, text.getvalue().encode())


def latex_text(text: str) -> str:
    """Text with everything that LaTeX reads otherwise made harmless."""
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)


def latex_table(rows: Sequence[Row]) -> str:
    """The leaderboard as a ``tabular`` of the booktabs package: force MAE ID, OOD and ratio with intervals."""

    def number(estimate: Estimate, scale: float = 1.0) -> str:
        if estimate.value is None:
            return "--"
        text = significant(scale * estimate.value)
        if estimate.low is None or estimate.high is None:
            return text
        return f"{text} {{\\scriptsize [{significant(scale * estimate.low)}, {significant(scale * estimate.high)}]}}"

    lines = [
        "% needs \\usepackage{booktabs}; bold: lowest OOD error of a task, dagger: not significantly different",
        "\\begin{tabular}{llrrr}",
        "\\toprule",
        "task & potential & ID & OOD & OOD/ID \\\\",
    ]
    for task in tasks_of(rows):
        lines.append("\\midrule")
        own = sorted((row for row in rows if row.task == task), key=lambda row: row.estimate("ood").value or 1e9)
        for index, row in enumerate(own):
            ood = number(row.estimate("ood"), MEV)
            ood = f"\\textbf{{{ood}}}" if row.best else f"{ood}$^\\dagger$" if row.tied else ood
            cells = [number(row.estimate("id"), MEV), ood, number(row.estimate("ratio"))]
            name = latex_text(task) if index == 0 else ""
            lines.append(f"{name} & {latex_text(row.label)} & " + " & ".join(cells) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}", "% force MAE in meV/\\AA, 95\\% intervals over molecules and seeds"]
    return "\n".join(lines) + "\n"


def write_latex(path: Path, rows: Sequence[Row]) -> None:
    """Write :func:`latex_table`.

    Raises:
        RunError: the file could not be written.
    """
    save(path, latex_table(rows).encode())


def write_figures(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """The overview of all tasks, and a page for every task (force MAE against n of all its models), as PDF.

    Raises:
        CompBenchError: matplotlib is not installed.
        RunError: a file could not be written.
    """
    written = [overview_figure(rows, folder / "overview.pdf")]
    for task in tasks_of(rows):
        results = [run for row in rows if row.task == task for run in row.group.runs]
        written.append(force_mae_figure(results, folder / f"{slug(task)}.pdf"))
    return written
