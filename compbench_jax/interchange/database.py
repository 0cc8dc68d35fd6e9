"""ASE databases (``.db``, SQLite), opened for reading only.

ASE's own class would make its tables in a file that lacks them; this reader opens the file read-only and asks for the
columns it needs.
"""

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.frame import ForeignFrame, labelled_frame, lone_atom
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys
from compbench_jax.interchange.trajectory import DTYPES

MAGIC = b"SQLite format 3\0"
COLUMNS = ("numbers", "positions", "energy", "forces", "key_value_pairs", "data", "cell", "pbc", "charge", "magmom")
MAX_VALUE = 1 << 26
"""Bytes of the largest value read from a row: four times the forces of the largest frame there may be."""


def read_database(path: Path, keys: LabelKeys = ANY_KEYS) -> Iterator[ForeignFrame]:
    """Read the rows of an ASE database one by one.

    Labels are the columns ``energy`` and ``forces``, or, as schnetpack writes them, arrays in ``data``. Units are those
    of the metadata (``_property_unit_dict``, ``_distance_unit``), else ASE's.

    Raises:
        DataError: no SQLite file, no ASE database, a damaged row, a row without labels, or one whose periodic images
            are near.
    """
    with path.open("rb") as handle:
        if handle.read(len(MAGIC)) != MAGIC:
            raise DataError(f"{path} is not an SQLite file: is it an ASE database?")
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise DataError(f"{path} was not closed by its writer ({log.name} is not empty): open it once with ASE")
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
            connection.execute("PRAGMA trusted_schema = OFF")
            tables = dict(connection.execute("SELECT name, type FROM sqlite_master"))
            if tables.get("systems") != "table":
                raise DataError(f"{path} is not an ASE database: it has no table of systems")
            has_metadata = tables.get("information") == "table"
            metadata = (
                connection.execute("SELECT value FROM information WHERE name = 'metadata'") if has_metadata else ()
            )
            text = next((value for (value,) in metadata), None)
            stated = _mapping(text)
            if text and not stated and text != "{}":
                raise DataError(f"{path}: its metadata, where units stand, is damaged: copy the file again")
            present = {row[1] for row in connection.execute("PRAGMA table_info(systems)")}
            chosen = [name if name in present else f"NULL AS {name}" for name in COLUMNS]
            rows = connection.execute(f"SELECT {', '.join(chosen)} FROM systems ORDER BY id")
            for index, row in enumerate(rows):
                yield _frame(path, index, dict(zip(COLUMNS, row, strict=True)), stated, keys)
    except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0][:120]  # it may quote the schema
        raise DataError(f"{path} cannot be read as an ASE database ({reason}): copy it again") from error


def _frame(path: Path, index: int, row: dict[str, Any], stated: dict[str, Any], keys: LabelKeys) -> ForeignFrame:
    """The labelled frame of a row."""
    numbers = _array(path, index, row["numbers"], "<i4")
    n_atoms = len(numbers)
    info = _mapping(row["key_value_pairs"])
    scalars = {**info, **{key: row[key] for key in ("charge", "magmom") if row[key] is not None}}
    vectors: dict[str, Any] = {}
    for key, value in _data(row["data"]).items():
        if isinstance(value, np.ndarray) and value.size == 3 * n_atoms and value.ndim >= 2:
            vectors[key] = value.reshape(-1, 3)
        elif not isinstance(value, np.ndarray) or value.size == 1:
            scalars[key] = value.item() if isinstance(value, np.ndarray) else value
    if row["energy"] is not None:
        scalars["energy"] = row["energy"]
    if row["forces"] is not None:
        vectors["forces"] = _array(path, index, row["forces"], "<f8").reshape(-1, 3)
    positions = _array(path, index, row["positions"], "<f8").reshape(-1, 3)
    pbc = row["pbc"] if isinstance(row["pbc"], int) else 0
    cell = None if row["cell"] is None else _array(path, index, row["cell"], "<f8")
    periodic = [bool(pbc >> k & 1) for k in range(3)]
    return row_frame(path, index, numbers, positions, scalars, vectors, cell, periodic, stated, keys)


def row_frame(
    path: Path,
    index: int,
    numbers: np.ndarray,
    positions: np.ndarray,
    scalars: Mapping[str, Any],
    vectors: Mapping[str, np.ndarray],
    cell: np.ndarray | None,
    periodic: Sequence[bool],
    stated: Mapping[str, Any],
    keys: LabelKeys,
) -> ForeignFrame:
    """The labelled frame of a row of an ASE database, whatever holds it.

    Args:
        path: the file, for messages.
        index: number of the row, from 0.
        numbers: atomic numbers.
        positions: ``[n_atoms, 3]``.
        scalars: energies, charge, spin and other single values, by key.
        vectors: arrays ``[n_atoms, 3]``, forces among them.
        cell: its vectors, 9 numbers.
        periodic: along which of them.
        stated: the metadata of the file, where units may stand.
        keys: what the user says of labels.

    Raises:
        DataError: see :func:`labelled_frame`, or no labels.
    """
    alone = lone_atom(numbers, keys, scalars, vectors)
    if alone is not None:
        return alone
    labels = keys.choose(f"{path}, frame {index}", tuple(scalars), tuple(vectors))
    frame = labelled_frame(
        path,
        index,
        numbers,
        positions,
        scalars[labels.energy],
        vectors[labels.forces],
        labels,
        scalars,
        cell,
        periodic,
    )
    units = stated.get("_property_unit_dict")
    if isinstance(units, dict):
        words = (units.get(labels.energy), stated.get("_distance_unit"), units.get(labels.forces))
        frame.units = tuple(word if isinstance(word, str) else None for word in words)  # type: ignore[assignment]
    return frame


def _array(path: Path, index: int, blob: Any, dtype: str) -> np.ndarray:
    """Plain numbers out of a row; those of positions and forces come in threes."""
    unit = np.dtype(dtype).itemsize * (3 if dtype == "<f8" else 1)
    if not isinstance(blob, bytes) or len(blob) % unit:
        raise DataError(f"{path}, frame {index}: its arrays are damaged; copy the file again")
    return np.frombuffer(blob, dtype)


def _mapping(text: Any) -> dict[str, Any]:
    """A JSON object; an empty one where the text is none."""
    try:
        pairs = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return pairs if isinstance(pairs, dict) else {}


def _data(blob: Any) -> dict[str, Any]:
    """Numbers and plain arrays among a row's ``data`` (ASE's ``object_to_bytes``); all else is passed over."""
    if not isinstance(blob, bytes) or len(blob) < 8:
        return _mapping(blob)
    start = int.from_bytes(blob[:8], "little")
    found: dict[str, Any] = {}
    for key, value in (_mapping(blob[start:]) if 8 <= start <= len(blob) else {}).items():
        if isinstance(value, int | float):
            found[key] = value
        elif isinstance(value, dict) and "__ndarray__" in value:
            try:
                shape, dtype, offset = value["__ndarray__"]
                if dtype not in DTYPES or min([*shape, offset]) < 0:
                    continue
                found[key] = np.frombuffer(blob[:start], np.dtype(dtype), math.prod(shape), offset).reshape(shape)
            except (TypeError, ValueError, OverflowError):
                continue
    return found
