"""The leaderboard: one row a task and model, with what it took, which is best, and which cannot be told from it."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.evaluation.bootstrap import Estimate, paired_difference
from compbench_jax.evaluation.results import FILE as RESULTS_FILE
from compbench_jax.evaluation.results import read_results
from compbench_jax.report.curves import LOG
from compbench_jax.report.runs import Group, Results, check_comparable, group_runs, kind_of, pool
from compbench_jax.store.published import PUBLISHED

METRIC = "force_mae"


SUBMISSION_FILE = "submission.json"


@dataclass(frozen=True, eq=False)
class Source:
    """Results and the folder they came from."""

    folder: Path
    results: Results


@dataclass(frozen=True, eq=False)
class Row:
    """One model on one task.

    Attributes:
        task: canonical name.
        model: name shown.
        kind: see :func:`compbench_jax.report.runs.kind_of`.
        group: its runs, pooled.
        sources: the runs with their folders, by ascending seed.
        parameters: number of parameters; None where results do not say.
        speed: structures a second in training (median); of calculators, evaluated by one worker; None if unknown.
        partial: some frames could not be computed.
        other: where the frames are not those that most rows of the task were tested on, what they are; else empty.
        best: lowest OOD force MAE of the task among complete results on the same frames.
        tied: the paired 95% interval of the difference to the best holds zero.
    """

    task: str
    model: str
    kind: str
    group: Group
    sources: tuple[Source, ...]
    parameters: int | None
    speed: float | None
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


def read_sources(paths: Sequence[Path]) -> list[Source]:
    """Results files, folders that hold them (themselves, or one level down), submissions, or folders of submissions.

    Raises:
        RunError: nothing there, or files that are no results.
    """
    sources = []
    for path in paths:
        names = submitted(path)
        if names:
            sources += [Source(folder, {**read_results(folder), "model": name}) for folder, name in names.items()]
            continue
        if path.is_dir() and not (path / RESULTS_FILE).exists():
            files = sorted(path.glob(f"*/{RESULTS_FILE}"))
            if not files:
                raise RunError(f"{path} holds no {RESULTS_FILE}: give results.json files, or folders of them")
        else:
            files = [path / RESULTS_FILE if path.is_dir() else path]
        sources += [Source(file.parent, read_results(file)) for file in files]
    if not sources:
        raise RunError("no results are given: name one results.json or more")
    return sources


def submitted(path: Path) -> dict[Path, str]:
    """Folder of results → name of the potential, of the submissions in a folder or one level down."""
    names: dict[Path, str] = {}
    for file in sorted([*path.glob(SUBMISSION_FILE), *path.glob(f"*/{SUBMISSION_FILE}")]) if path.is_dir() else []:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            names |= {file.parent / item["folder"]: str(content["name"]) for item in content["results"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file} cannot be read ({error}): compbench validate {file.parent} says more") from error
    return names


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
                kind_of(group.runs[0]),
                group,
                own,
                group.runs[0].get("parameters"),
                speed_of(own),
                any("partial" in run for run in group.runs),
            )
        )
    kinds = [*order, *(kind_of_task(row.task) for row in rows)]
    return marked(sorted(rows, key=lambda row: kinds.index(kind_of_task(row.task))))


def kind_of_task(task: str) -> str:
    """Its name without parameters."""
    return task.partition("[")[0]


def speed_of(sources: Sequence[Source]) -> float | None:
    """Structures a second: of training from the log, of a calculator from its own times."""
    per_frame = sources[0].results.get("seconds_per_frame")
    if per_frame:
        return 1.0 / float(per_frame if isinstance(per_frame, (int, float)) else statistics.median(per_frame.values()))
    rates = []
    for source in sources:
        try:
            lines = (source.folder / LOG).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(entry, dict) and entry.get("event") == "train" and entry.get("structures_per_second"):
                rates.append(float(entry["structures_per_second"]))
    return statistics.median(rates) if rates else None


def marked(rows: Sequence[Row]) -> list[Row]:
    """The rows with the best of each task marked, those that cannot be told from it, and those on other frames."""
    usual = {task: usual_frames([row for row in rows if row.task == task]) for task in tasks_of(rows)}
    rows = [replace(row, other=other_frames(row, usual[row.task])) for row in rows]
    done = []
    for row in rows:
        rivals = [r for r in rows if r.task == row.task and _competes(r)]
        best = min(rivals, key=lambda r: _value(r), default=None)
        tied = best is not None and best is not row and _competes(row) and not _told_apart(row, best)
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


def _told_apart(row: Row, best: Row) -> bool:
    """Whether the paired interval of the difference of the OOD force MAE leaves out zero."""
    try:
        check_comparable(best.group.runs[0], row.group.runs[0])
        bootstrap = best.group.runs[0]["bootstrap"]
        pair = [
            pool(runs, bootstrap["samples"], bootstrap["seed"], best.group.runs[0], stream)
            for runs, stream in ((best.group.runs, 2), (row.group.runs, 3))
        ]
    except RunError:
        return True
    difference = paired_difference(*pair).ood.estimate(METRIC)
    if difference.low is None or difference.high is None:
        return True
    return not difference.low <= 0 <= difference.high


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
            "structures_per_second": row.speed,
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
