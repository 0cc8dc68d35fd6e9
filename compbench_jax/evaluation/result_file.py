"""``results.json``: reading, also files of version 1, and writing, so that a row of sums is a line."""

import json
from pathlib import Path
from typing import Any

import msgspec

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.result import FORMAT, PARTS, VERSION, Result, Row, checked
from compbench_jax.evaluation.result_v1 import converted
from compbench_jax.files import parse_json, read_text, save

FILE = "results.json"
DEEPEST = 4
"""Levels of the JSON text that have a line for each item: to the rows of a molecule or of a group."""


def write_result(path: Path, result: Result) -> None:
    """Write ``results.json`` whole or not at all.

    Raises:
        RunError: it could not be written; what was there before is untouched.
    """
    save(path, encode(result))


def encode(result: Result) -> bytes:
    """JSON, a row of sums per line, so that changes are seen in a diff."""
    content = msgspec.to_builtins(result, str_keys=True)
    for part in PARTS:
        tested = content[part]
        tested["sums"] = [_short(row) for row in tested["sums"]]
        for groups in tested["groups"].values():
            for group, rows in groups.items():
                groups[group] = {index: _short(row) for index, row in rows.items()}
    return (_text(content, 0) + "\n").encode()


def _short(row: Row) -> Row:
    """A row with whole numbers as integers, which take less room."""
    return [int(x) if x is not None and x == int(x) and abs(x) < 1e15 else x for x in row]


def _text(value: Any, depth: int) -> str:
    flat = not isinstance(value, dict | list) or not any(
        isinstance(item, dict | list) for item in (value.values() if isinstance(value, dict) else value)
    )
    if flat or depth > DEEPEST:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if isinstance(value, list):
        return "[" + ",".join("\n" + _text(item, depth + 1) for item in value) + "]"
    items = (f"\n{json.dumps(key, ensure_ascii=False)}:{_text(item, depth + 1)}" for key, item in value.items())
    return "{" + ",".join(items) + "}"


def read_result(path: str | Path) -> Result:
    """Read a ``results.json``, given the file or the folder of its run. One of an older version is converted.

    Raises:
        RunError: no such file, not valid, or of a newer version.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    if not file.exists():
        raise RunError(f"{file} does not exist: make it with `python evaluate.py --run {file.parent}`")
    try:
        content = parse_json(read_text(file))
    except ValueError as error:
        raise RunError(f"{file} is not valid JSON ({error}): rerun evaluate.py for this run") from error
    except CompBenchError as error:
        raise RunError(str(error)) from error
    return result_of(content, file)


def result_of(content: Any, file: Path) -> Result:
    """The result that JSON content is.

    Args:
        content: of a ``results.json`` of any version.
        file: where it was, for messages, and for the file next to it that an older version wrote.

    Raises:
        RunError: as :func:`read_result`.
    """
    if not isinstance(content, dict):
        raise RunError(f"{file} is not a {FILE}: give a file that evaluate.py wrote")
    if "schema_version" in content:
        return checked(converted(content, file), file)
    if content.get("format") != FORMAT:
        raise RunError(f"{file} is not a {FILE} (it has no format {FORMAT!r}): give a file that evaluate.py wrote")
    if isinstance(content.get("version"), int) and content["version"] > VERSION:
        raise RunError(f"{file} has version {content['version']}, this program reads up to {VERSION}: upgrade it")
    return checked(content, file)
