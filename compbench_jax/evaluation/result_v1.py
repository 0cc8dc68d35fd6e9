"""Results of before version 2, read: ``results.json`` with its numbers, and ``where.json`` next to it with sums."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.breakdowns import NONE
from compbench_jax.evaluation.identity import kind_of
from compbench_jax.evaluation.result import DIGITS, FORMAT, FRAME_DIGITS, GROUP_DIGITS, PARTS, VERSION, Row, stored_row
from compbench_jax.files import read_json
from compbench_jax.metrics.sums import ATOM_COLUMNS
from compbench_jax.splits.roles import role_of

WHERE = "where.json"
SAME = ("model", "seed", "data", "date", "checkpoint_step", "fit_frames", "unidentifiable", "config", "versions")
OPTIONAL = ("parameters", "seconds_per_frame", "levels", "energy_shifts", "partial", "members")


def converted(content: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """Contents of version 2.

    Breakdowns of atoms are those of ``where.json``; without it there are none. The breakdown of molecules by fragments
    that touch is not in these files.

    Args:
        content: of ``results.json``.
        file: where it is.

    Raises:
        RunError: something is missing or of the wrong type.
    """
    where = _where(file.parent / WHERE)
    try:
        sums = content["molecule_sums"]
        columns = list(sums["columns"])
        if where is not None and any(where[key] != content[key] for key in ("task", "model", "seed", "data")):
            where = None  # of another evaluation
        return {
            "format": FORMAT,
            "version": VERSION,
            "task": content["task"],
            "role": role_of(content["task"]),
            "kind": kind_of(content["task"], content["config"]),
            **{key: content[key] for key in SAME if key in content},
            **{key: content[key] for key in OPTIONAL if content.get(key) is not None},
            "columns": {"atoms": list(ATOM_COLUMNS if where is None else where["columns"]), "frames": columns},
            **{part: _tested(content, where, part, columns) for part in PARTS},
            "train": content["train"],
            "hardware": content["hardware"],
        }
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged or of an older version than 1 ({error!r}): rerun evaluate.py") from error


def _where(path: Path) -> Any:
    try:
        return read_json(path) if path.exists() else None
    except CompBenchError:
        return None


def _tested(content: Mapping[str, Any], where: Any, part: str, columns: list[str]) -> dict[str, Any]:
    """One test set."""
    sums, blocks = content["molecule_sums"][part], content["by_molecule"][part]
    described = {} if where is None else where["molecules"][part]
    molecules: list[dict[str, Any]] = []
    index: dict[str, int] = {}
    for key in sums:
        index[key] = len(molecules)
        block, more = blocks[key], described.get(key, {})
        quantiles = block.get("force_mae_frames", {})
        molecules.append(
            {
                "inchikey": key,
                **{name: block[name] for name in ("name", "smiles", "family", "n", "ends")},
                "groups": {} if more.get("ch2") is None else {"ch2": [str(more["ch2"])]},
                "force_mae_frames": stored_row(
                    [quantiles[name] for name in ("p05", "p50", "p95") if name in quantiles], FRAME_DIGITS
                ),
            }
        )
    rows = [stored_row(sums[key], DIGITS) for key in sums]
    found: dict[str, dict[str, dict[int, Row]]] = {}
    for name, groups in ({} if where is None else where["sums"][part]).items():
        stored = RENAMED_BREAKDOWNS.get((part, name), name)
        if stored is None:
            continue
        found[stored] = {
            _group(part, name, group): {
                index[key]: _of_frames(row, where["columns"], rows[index[key]], columns)
                if name == "contact"
                else stored_row(row, GROUP_DIGITS)
                for key, row in molecule_rows.items()
            }
            for group, molecule_rows in groups.items()
        }
    return {"molecules": molecules, "sums": rows, "groups": found}


RENAMED_BREAKDOWNS: dict[tuple[str, str], str | None] = {
    ("id", "element"): "distance_element",
    ("ood", "element"): None,
    ("ood", "distance"): None,
}
"""Breakdowns that version 2 stores under another name, or (None) not at all since they follow from finer ones."""


def _group(part: str, breakdown: str, group: str) -> str:
    if (part, breakdown) == ("id", "element"):
        return f"{NONE} {group}"
    return {"novel": "unseen", "known": "seen"}.get(group, group) if breakdown == "contact" else group


def _of_frames(row: Row, names: list[str], whole: Row, columns: list[str]) -> Row:
    """A row over atoms as one over frames: their number follows from the atoms, energies are not known."""
    by_name = dict(zip(names, row, strict=True))
    of_molecule = dict(zip(columns, whole, strict=True))
    frames = (by_name["atoms"] or 0) * (of_molecule["frames"] or 0) / (of_molecule["atoms"] or 1)
    return stored_row([{**by_name, "frames": round(frames)}.get(name) for name in columns], GROUP_DIGITS)
