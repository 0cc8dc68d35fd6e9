"""Submissions to the leaderboard: a folder of results with a description, checked before it is shown."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from compbench_jax.errors import CompBenchError, RunError, optional_import
from compbench_jax.evaluation.derived import Derived, read_results
from compbench_jax.evaluation.result_file import FILE as RESULTS_FILE
from compbench_jax.files import read_bytes, read_json
from compbench_jax.report.plausibility import plausibility_problems

FILE = "submission.json"
FORMAT = "compbench-submission"
VERSION = 1
SCHEMAS = {"audit.json": "audit", "showcase.json": "showcase"}
"""Files next to results that have a schema, and its name."""

COPIED = (RESULTS_FILE, *SCHEMAS, "config.json", "log.jsonl")
"""Files of a results folder that a submission may hold; others are refused."""

MOST_BYTES = 20 << 20
MOST_BYTES_OF_JSON = 1 << 20
"""Of ``submission.json``; it is read before anything else is known of the folder."""

MOST_FILES = 10_000
SHOWN = 20
"""Problems of one file that are named."""

Canonical = Callable[[str], str]
"""From the name of a task to how it is written, or a CompBenchError."""


def validate_submission(folder: Path, canonical: Canonical, known_data: Mapping[str, str]) -> list[str]:
    """:func:`submission_problems`, and what clashes with the submissions in the folders next to this one.

    Raises:
        RunError: there is no submission, or it is not JSON.
        CompBenchError: jsonschema is not installed.
    """
    folder = folder.parent if folder.name == FILE else folder
    problems = submission_problems(folder, canonical, known_data)
    if problems:
        return problems
    seen: dict[str, Path] = {}
    for other in submissions_in(folder.absolute().parent):
        if not other.samefile(folder):
            try:
                seen |= dict.fromkeys(marks_of(other), other)
            except RunError:
                continue  # that one is refused by itself
    return clashes(marks_of(folder), seen)


def submission_problems(folder: Path, canonical: Canonical, known_data: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with a submission by itself, one line each; empty if it can be shown.

    Checked are: the schemas of ``submission.json`` and of what lies with it; sums; that nothing else lies there and
    nothing is listed twice; that the sums of errors are possible; that the split was sound and the task is
    one of the benchmark's.

    Args:
        folder: that holds ``submission.json``.
        canonical: see :data:`Canonical`.
        known_data: name of every data set of the benchmark by the hash of its manifest.

    Raises:
        RunError: there is no submission, or it is not JSON.
        CompBenchError: jsonschema is not installed.
    """
    content = read_submission(folder)
    problems = [f"{FILE}: {line}" for line in schema_problems(content, "submission")]
    problems = problems or repeated_results(content)
    problems = problems or unexpected_files(folder, [item["folder"] for item in content["results"]])
    if problems:
        return problems
    for item in content["results"]:
        problems += item_problems(folder / item["folder"], item, canonical, known_data)
    return problems


def item_problems(
    folder: Path, item: Mapping[str, Any], canonical: Canonical, known_data: Mapping[str, str]
) -> list[str]:
    """What is wrong with one result of a submission and with the files next to it."""
    contents: dict[str, Any] = {}
    problems = []
    for file, schema in SCHEMAS.items():
        if file == "showcase.json" and not (folder / file).exists():
            continue
        try:
            contents[file] = read_json(folder / file, most_bytes=MOST_BYTES)
        except CompBenchError as error:
            problems.append(str(error))
            continue
        problems += [f"{folder.name}/{file}: {line}" for line in schema_problems(contents[file], schema)]
    try:
        results = read_results(folder)
    except RunError as error:
        return [*problems, str(error)]
    if problems:
        return problems
    found = result_problems(results, item, canonical, known_data) + audit_problems(contents["audit.json"], results)
    if hashlib.sha256(read_bytes(folder / RESULTS_FILE)).hexdigest() != item["sha256"]:
        found.insert(0, f"its SHA-256 is not the one in {FILE}: run compbench submit again")
    if len(found) > SHOWN:
        found = [*found[:SHOWN], f"and {len(found) - SHOWN} problems more"]
    return [f"{folder.name}/{RESULTS_FILE}: {line}" for line in found]


def schema_problems(content: Any, name: str) -> list[str]:
    """How JSON content differs from a schema of ours, one line a difference."""
    jsonschema: Any = optional_import("jsonschema", "report", "checking submissions")
    schema = json.loads(files("compbench_jax.report").joinpath("assets", f"{name}.schema.json").read_text("utf-8"))
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(content), key=lambda error: str(error.path))
    lines = [f"{'/'.join(map(str, error.path)) or 'top level'}: {error.message[:200]}" for error in errors]
    return lines[:SHOWN]


def repeated_results(content: Mapping[str, Any]) -> list[str]:
    """Folders, results or pairs of task and seed that a submission lists more than once."""
    problems = []
    for what, keys in (("the folder", ("folder",)), ("task and seed", ("task", "seed")), ("the results", ("sha256",))):
        values = [tuple(item[key] for key in keys) for item in content["results"]]
        twice = dict.fromkeys(value for value in values if values.count(value) > 1)
        problems += [f"{FILE}: {what} {' '.join(map(str, value))} are listed twice" for value in twice]
    return problems


def unexpected_files(folder: Path, listed: Sequence[str]) -> list[str]:
    """Files that have no business in a submission, links, devices, and sizes."""
    problems, total = [], 0
    allowed = {folder / FILE, folder / "README.md", *(folder / name / file for name in listed for file in COPIED)}
    paths = sorted(folder.rglob("*"))
    if len(paths) > MOST_FILES:
        return [f"it holds {len(paths)} files: take out those that do not belong to it"]
    for path in (folder, *paths):
        name = path.relative_to(folder) if path != folder else "the folder"
        if path.is_symlink():
            problems.append(f"{name} is a link: copy what it points to")
        elif path.is_file():
            total += path.stat().st_size
            if path not in allowed:
                problems.append(f"{name} does not belong into a submission: take it out")
        elif not path.is_dir():
            problems.append(f"{name} is no regular file: take it out")
    if total > MOST_BYTES:
        problems.append(f"it holds {total / 2**20:.0f} MB, {MOST_BYTES >> 20} are allowed: leave out showcase.json")
    return problems


def result_problems(
    results: Derived, item: Mapping[str, Any], canonical: Canonical, known_data: Mapping[str, str]
) -> list[str]:
    """What is wrong in one result: another task, seed or data set, or sums that no forces have."""
    problems = []
    for key in ("task", "seed"):
        if results[key] != item[key]:
            problems.append(f"{key} is {results[key]!r}, {FILE} says {item[key]!r}")
    try:
        if canonical(results["task"]) != results["task"]:
            problems.append(f"task {results['task']!r} is written {canonical(results['task'])!r}")
    except CompBenchError as error:
        problems.append(str(error))
    if results["data"] not in known_data:
        names = ", ".join(known_data.values())
        problems.append(f"data {results['data'][:12]}… are none of the benchmark's ({names}): evaluate on one of them")
    return problems + plausibility_problems(results)


def audit_problems(audit: Mapping[str, Any], results: Derived) -> list[str]:
    """Whether the split was audited and sound."""
    if audit["data"] != results["data"] or audit["task"] != results["task"]:
        return ["audit.json is of another split"]
    return [f"the split is not sound: {line}" for line in audit["failures"]]


def submissions_in(folder: Path) -> Iterator[Path]:
    """Folders of submissions: this one, or those one level down."""
    if folder.is_dir():
        for file in sorted([*folder.glob(FILE), *folder.glob(f"*/{FILE}")]):
            yield file.parent


def read_submission(folder: Path) -> Any:
    """Contents of ``submission.json``.

    Raises:
        RunError: there is none, or it is not JSON.
    """
    path = folder / FILE
    if not path.exists():
        raise RunError(f"there is no {path}: make it with compbench submit")
    try:
        return read_json(path, most_bytes=MOST_BYTES_OF_JSON)
    except CompBenchError as error:
        raise RunError(f"{error} (make it again with compbench submit)") from error


def marks_of(folder: Path) -> list[str]:
    """What no two submissions may share: the name of a potential, and each of the results.

    Raises:
        RunError: the folder holds no submission.
    """
    content = read_submission(folder)
    if schema_problems(content, "submission"):
        raise RunError(f"{folder / FILE} is no submission")
    marks = []
    for item in content["results"]:
        results = read_results(folder / item["folder"])
        marks += [name_mark(results.replaced(model=content["name"])), f"the results {item['sha256']}"]
    return list(dict.fromkeys(marks))


def name_mark(results: Derived) -> str:
    """The name of a potential, without regard to case and spaces, and how it came to be."""
    return f"the name {' '.join(results['model'].split()).casefold()!r} ({results['kind']})"


def clashes(marks: Sequence[str], seen: Mapping[str, Path]) -> list[str]:
    """What a submission shares with others.

    Args:
        marks: of the submission.
        seen: the submission that has a mark, by mark.
    """
    return [f"{FILE}: {mark} is that of {seen[mark]} too" for mark in marks if mark in seen]
