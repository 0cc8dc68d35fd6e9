"""The leaderboard: one row per task and model, its cost, the best, and those not significantly different from it."""

import re
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.evaluation.intervals import Estimate, paired_difference
from compbench_jax.evaluation.result_file import FILE as RESULTS_FILE
from compbench_jax.report.curves import LOG
from compbench_jax.report.runs import Group, Results, check_comparable, group_runs, pool
from compbench_jax.report.submission import (
    clashes,
    marks_of,
    name_mark,
    read_submission,
    submission_problems,
    submissions_in,
)
from compbench_jax.store.published import PUBLISHED
from compbench_jax.training.log import read_log

METRIC = "force_mae"


@dataclass(frozen=True, eq=False)
class Source:
    """Results, the folder they came from, and what the submission that they belong to says of the potential."""

    folder: Path
    results: Results
    submission: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Row:
    """One model on one task.

    Attributes:
        task: canonical name.
        model: name shown.
        kind: see :func:`compbench_jax.evaluation.identity.kind_of`.
        group: its runs, pooled.
        sources: the runs with their folders, by ascending seed.
        parameters: number of parameters; None where results do not say.
        speed: structures per second in training (median); None if unknown.
        inference: structures per second in evaluation by one process; None if unknown.
        partial: some frames could not be computed.
        other: where the frames are not those that most rows of the task were tested on, what they are; else empty.
        best: lowest OOD force MAE of the task among complete results on the same frames.
        tied: not significantly different from the best: the paired 95% interval of the difference contains zero.
    """

    task: str
    model: str
    kind: str
    group: Group
    sources: tuple[Source, ...]
    parameters: int | None
    speed: float | None
    inference: float | None
    partial: bool
    other: str = ""
    best: bool = False
    tied: bool = False

    @property
    def label(self) -> str:
        """The name, and what sets the row apart from the others of its task."""
        told = ("partial" if self.partial else "", self.other)
        return self.model + "".join(f" ({text})" for text in told if text)

    def estimate(self, part: str, metric: str = METRIC) -> Estimate:
        """A metric of ``"id"``, ``"ood"`` or ``"ratio"`` with its interval."""
        found: Estimate = getattr(self.group.comparison, part).estimate(metric)
        return found


def check_alone(folder: Path) -> list[str]:
    """:func:`compbench_jax.report.submission.submission_problems` where the tasks of the benchmark are not known."""
    return submission_problems(folder, str, PUBLISHED)


def read_sources(paths: Sequence[Path], check: Callable[[Path], list[str]] = check_alone) -> list[Source]:
    """Results files, folders that hold them (themselves, or one level down), submissions, or folders of submissions.

    A submission that is not valid, or has the name or results of another, is left out, which a line on standard error
    says.

    Args:
        paths: where the results are.
        check: what is wrong with the submission in a folder.

    Raises:
        RunError: nothing there, or files that are no results.
    """
    found: list[list[Source] | list[Path]] = [list(submissions_in(path)) or plain_sources(path) for path in paths]
    taken = [item for items in found for item in items if isinstance(item, Source)]
    seen = {name_mark(source.results): source.folder for source in taken}
    sources: list[Source] = []
    for item in (item for items in found for item in items):
        if isinstance(item, Source):
            sources.append(item)
            continue
        try:
            problems = check(item)
            marks = [] if problems else marks_of(item)
            problems = problems or clashes(marks, seen)
        except RunError as error:
            problems = [str(error)]
        if problems:
            more = f" (and {len(problems) - 1} more: compbench validate {item})" if len(problems) > 1 else ""
            print(f"{item} is left out: {problems[0]}{more}", file=sys.stderr)
            continue
        seen |= dict.fromkeys(marks, item)
        content = read_submission(item)
        folders = [item / entry["folder"] for entry in content["results"]]
        sources += [Source(folder, read_results(folder).replaced(model=content["name"]), content) for folder in folders]
    if not sources:
        raise RunError("no results are given: name one results.json or more")
    return sources


def plain_sources(path: Path) -> list[Source]:
    """Results of a file, or of a folder that holds them (itself, or one level down).

    Raises:
        RunError: nothing there, or files that are no results.
    """
    files = [path / RESULTS_FILE if path.is_dir() else path]
    if path.is_dir() and not files[0].exists():
        files = sorted(path.glob(f"*/{RESULTS_FILE}"))
        if not files:
            raise RunError(f"{path} holds no {RESULTS_FILE}: give results.json files, or folders of them")
    return [Source(file.parent, read_results(file)) for file in files]


def leaderboard(sources: Sequence[Source], order: Sequence[str] = ()) -> list[Row]:
    """Rows by task, otherwise in the order given.

    Args:
        sources: results.
        order: kinds of tasks (names without parameters) in the order to show them; others come after them.

    Raises:
        RunError: see :func:`compbench_jax.report.runs.group_runs`.
    """
    folders = {id(source.results): source for source in sources}
    rows = []
    for group in group_runs([source.results for source in sources]):
        own = tuple(folders[id(run)] for run in group.runs)
        rows.append(
            Row(
                group.task,
                group.model.removesuffix(" (partial)"),
                group.runs[0]["kind"],
                group,
                own,
                group.runs[0].get("parameters"),
                training_speed(own),
                inference_speed(own),
                any("partial" in run for run in group.runs),
            )
        )
    kinds = [*order, *(kind_of_task(row.task) for row in rows)]
    return marked(sorted(rows, key=lambda row: kinds.index(kind_of_task(row.task))))


def kind_of_task(task: str) -> str:
    """Its name without parameters."""
    return task.partition("[")[0]


def inference_speed(sources: Sequence[Source]) -> float | None:
    """Structures per second in evaluation by one process, where results say it (those of calculators do)."""
    per_frame = sources[0].results.get("seconds_per_frame")
    return 1.0 / float(per_frame) if per_frame else None


def training_speed(sources: Sequence[Source]) -> float | None:
    """Structures per second in training: median over the lines of the logs."""
    lines = [line for source in sources for line in read_log(source.folder / LOG) if line["event"] == "train"]
    rates = [line.get("structures_per_second") for line in lines]
    known = [float(rate) for rate in rates if isinstance(rate, int | float) and 0 < rate < float("inf")]
    return statistics.median(known) if known else None


def marked(rows: Sequence[Row]) -> list[Row]:
    """The rows with marks: the best of each task, those not significantly different from it, those on other frames."""
    usual = {task: usual_frames([row for row in rows if row.task == task]) for task in tasks_of(rows)}
    rows = [replace(row, other=other_frames(row, usual[row.task])) for row in rows]
    done = []
    for row in rows:
        rivals = [r for r in rows if r.task == row.task and _competes(r)]
        best = min(rivals, key=lambda r: _value(r), default=None)
        tied = best is not None and best is not row and _competes(row) and not _differ(row, best)
        done.append(replace(row, best=row is best, tied=tied))
    return done


def _competes(row: Row) -> bool:
    return not row.partial and not row.other and row.estimate("ood").value is not None


Frames = tuple[str, int, int]
"""Hash of the data, and the numbers of ID and of OOD frames."""


def frames_of(row: Row) -> Frames:
    """What a row was tested on."""
    run = row.group.runs[0]
    return run["data"], run["id"]["n_frames"], run["ood"]["n_frames"]


def usual_frames(rows: Sequence[Row]) -> Frames:
    """The frames of most rows of a task, of the first of them where several are as frequent."""
    whole = [frames_of(row) for row in rows if not row.partial] or [frames_of(row) for row in rows]
    return max(whole, key=whole.count)


def other_frames(row: Row, usual: Frames) -> str:
    """What a row was tested on if not the usual frames; of partial results only the data are compared."""
    data, inside, outside = frames_of(row)
    if data != usual[0]:
        return PUBLISHED.get(data, "other data")
    return "" if row.partial or (data, inside, outside) == usual else f"other frames: {inside} ID, {outside} OOD"


def _value(row: Row) -> float:
    value = row.estimate("ood").value
    return float("inf") if value is None else value


def _differ(row: Row, best: Row) -> bool:
    """Whether the OOD force MAE of two rows differs significantly on the same frames."""
    try:
        check_comparable(best.group.runs[0], row.group.runs[0])
        pair = [pool(runs, like=best.group.runs[0]) for runs in (best.group.runs, row.group.runs)]
    except RunError:
        return True
    return paired_difference(*pair).ood.differs(METRIC)


def slug(text: str) -> str:
    """A file name for any text, of letters, digits, dots and dashes; different texts may get the same.

    >>> slug("fragment_duplication[COOH]")
    'fragment_duplication-COOH'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.") or "x"


def tasks_of(rows: Sequence[Row]) -> list[str]:
    """Tasks in the order of first occurrence."""
    return list(dict.fromkeys(row.task for row in rows))


def models_of(rows: Sequence[Row]) -> list[str]:
    """Models likewise."""
    return list(dict.fromkeys(row.model for row in rows))


def as_records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as flat records, for CSV and other programs. Errors in eV/Å and eV, unrounded."""
    records = []
    for row in rows:
        record: dict[str, Any] = {
            "task": row.task,
            "model": row.model,
            "kind": row.kind,
            "seeds": len(row.group.runs),
            "parameters": row.parameters,
            "training_structures_per_second": row.speed,
            "inference_structures_per_second": row.inference,
            "partial": row.partial,
            "data": PUBLISHED.get(row.group.runs[0]["data"], row.group.runs[0]["data"]),
            "id_frames": row.group.runs[0]["id"]["n_frames"],
            "ood_frames": row.group.runs[0]["ood"]["n_frames"],
            "best": row.best,
            "tied": row.tied,
        }
        for part in ("id", "ood", "ratio"):
            for metric in getattr(row.group.comparison, part).values:
                estimate = row.estimate(part, metric)
                record |= {
                    f"{part}_{metric}": estimate.value,
                    f"{part}_{metric}_low": estimate.low,
                    f"{part}_{metric}_high": estimate.high,
                }
        records.append(record)
    return records
