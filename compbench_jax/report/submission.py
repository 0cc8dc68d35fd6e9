"""Submissions to the leaderboard: a folder of results with a description, checked before it is shown."""

import datetime
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from compbench_jax.errors import CompBenchError, RunError, optional_import
from compbench_jax.evaluation.results import FILE as RESULTS_FILE
from compbench_jax.evaluation.results import save
from compbench_jax.report.leaderboard import SUBMISSION_FILE as FILE
from compbench_jax.report.leaderboard import Source, slug
from compbench_jax.report.runs import PARTS, pool

FORMAT = "compbench-submission"
VERSION = 1
COPIED = (RESULTS_FILE, "config.json", "audit.json", "log.jsonl", "where.json", "showcase.json")
"""Files of a results folder that a submission may hold; others are refused."""

MOST_BYTES = 20 << 20
AGREEMENT = 1e-4
"""Relative difference between a metric and what its molecule sums give (results keep six digits)."""

CHECKED = ("force_mae", "force_rmse", "force_cosine", "force_magnitude_mae", "energy_mae_centred")


def write_submission(
    sources: Sequence[Source], out: Path, name: str, description: str, pretraining: str, url: str = ""
) -> Path:
    """Copy results into a folder and describe them.

    Args:
        sources: results of one potential: tasks, seeds.
        out: folder, not there yet.
        name: of the potential on the leaderboard.
        description: what it is.
        pretraining: data it saw before, or ``"none"``.
        url: of code or paper.

    Returns:
        the path of ``submission.json``.

    Raises:
        RunError: the folder exists, or a text is missing.
    """
    for flag, text in (("--name", name), ("--description", description), ("--pretraining", pretraining)):
        if not text.strip():
            raise RunError(f"{flag} is empty: readers need it")
    if out.exists() and any(out.iterdir()):
        raise RunError(f"--out {out} is not empty: give a new folder")
    listed = []
    for source in sources:
        run = source.results
        folder = out / f"{slug(run['task'])}-seed{run['seed']}"
        if folder.exists():
            raise RunError(f"{run['task']} with seed {run['seed']} is given twice: give each result once")
        folder.mkdir(parents=True)
        for file in COPIED:
            if (source.folder / file).exists():
                shutil.copyfile(source.folder / file, folder / file)
        listed.append(
            {"folder": folder.name, "task": run["task"], "seed": run["seed"], "sha256": _sum(folder / RESULTS_FILE)}
        )
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "description": description,
        "pretraining": pretraining,
        "url": url,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "results": listed,
    }
    save(out / FILE, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    return out / FILE


def validate_submission(folder: Path, canonical: Callable[[str], str], known_data: dict[str, str]) -> list[str]:
    """Everything that is wrong with a submission, one line each; empty if it can be shown.

    Checked are: the schemas of ``submission.json`` and of every ``results.json``; sums; that nothing else lies there;
    that each metric is what its molecule sums give; that the split was sound and the task is one of the benchmark's.

    Args:
        folder: that holds ``submission.json``.
        canonical: name of a task, or a CompBenchError.
        known_data: name of every data set of the benchmark by the hash of its manifest.

    Raises:
        RunError: there is no submission, or it is not JSON.
        CompBenchError: jsonschema is not installed.
    """
    folder = folder.parent if folder.name == FILE else folder
    content = _read(folder / FILE)
    problems = [f"{FILE}: {line}" for line in schema_problems(content, "submission")]
    if problems:
        return problems
    problems += strangers(folder, [item["folder"] for item in content["results"]])
    if problems:
        return problems
    for item in content["results"]:
        path = folder / item["folder"] / RESULTS_FILE
        where = f"{item['folder']}/{RESULTS_FILE}"
        try:
            found = _read(path)
        except RunError as error:
            problems.append(str(error))
            continue
        if _sum(path) != item["sha256"]:
            problems.append(f"{where}: its SHA-256 is not the one in {FILE}: run compbench submit again")
        own = schema_problems(found, "results")
        if not own:
            own = result_problems(found, item, canonical, known_data) + audit_problems(path.parent, found)
        problems += [f"{where}: {line}" for line in own]
    return problems


def schema_problems(content: Any, name: str) -> list[str]:
    """How JSON content differs from a schema of ours, one line a difference."""
    jsonschema: Any = optional_import("jsonschema", "report", "checking submissions")
    schema = json.loads(files("compbench_jax.report").joinpath("assets", f"{name}.schema.json").read_text("utf-8"))
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(content), key=lambda error: list(error.path))
    return [f"{'/'.join(map(str, error.path)) or 'top level'}: {error.message[:200]}" for error in errors]


def strangers(folder: Path, listed: Sequence[str]) -> list[str]:
    """Files that have no business in a submission, links, and sizes."""
    problems, total = [], 0
    allowed = {folder / FILE, folder / "README.md", *(folder / name / file for name in listed for file in COPIED)}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            problems.append(f"{path.relative_to(folder)} is a link: copy the file")
        elif path.is_file():
            total += path.stat().st_size
            if path not in allowed:
                problems.append(f"{path.relative_to(folder)} does not belong into a submission: take it out")
    if total > MOST_BYTES:
        problems.append(f"it holds {total / 2**20:.0f} MB, {MOST_BYTES >> 20} are allowed: leave out showcase.json")
    return problems


def result_problems(
    results: dict[str, Any], item: dict[str, Any], canonical: Callable[[str], str], known_data: dict[str, str]
) -> list[str]:
    """What is wrong in the numbers of one result."""
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
    try:
        pooled = pool([results])
    except (RunError, KeyError, ValueError, IndexError) as error:
        return [*problems, f"molecule_sums: {error}"]
    for part in PARTS:
        for metric in CHECKED:
            stated = results[part].get(metric, {}).get("value")
            given = getattr(pooled, part).estimate(metric).value
            if (stated is None) != (given is None) or (
                stated is not None and given is not None and abs(stated - given) > AGREEMENT * max(abs(given), 1e-6)
            ):
                problems.append(f"{part}/{metric} is {stated}, its molecule sums give {given}")
    return problems


def audit_problems(folder: Path, results: dict[str, Any]) -> list[str]:
    """Whether the split was audited and sound."""
    path = folder / "audit.json"
    if not path.exists():
        return ["there is no audit.json beside it: copy it from the run"]
    audit = _read(path)
    if audit.get("data") != results["data"] or audit.get("task") != results["task"]:
        return ["audit.json is of another split"]
    return [f"the split is not sound: {line}" for line in audit.get("failures", ["it was not audited"])]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise RunError(f"there is no {path}: make it with compbench submit") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}): make it again with compbench submit") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
