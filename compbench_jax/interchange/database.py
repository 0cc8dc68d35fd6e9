"""ASE databases (``.db``, SQLite), opened for reading only.

ASE's own class would make its tables in a file that lacks them; this reader opens the file read-only and asks for the
columns it needs.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.frame import ForeignFrame, labelled_frame

MAGIC = b"SQLite format 3\0"
MAX_VALUE = 1 << 26
"""Bytes of the largest value read from a row: four times the forces of the largest frame there may be."""


def read_database(path: Path) -> Iterator[ForeignFrame]:
    """Read the rows of an ASE database one by one (ASE's convention: eV, Å, eV/Å).

    Raises:
        DataError: no SQLite file, no ASE database, a damaged row, or a row without labels.
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
            kind = connection.execute("SELECT type FROM sqlite_master WHERE name = 'systems'").fetchone()
            if kind != ("table",):
                raise DataError(f"{path} is not an ASE database: it has no table of systems")
            rows = connection.execute(
                "SELECT numbers, positions, energy, forces, key_value_pairs FROM systems ORDER BY id"
            )
            for index, (numbers, positions, energy, forces, pairs) in enumerate(rows):
                yield labelled_frame(
                    path,
                    index,
                    _array(path, index, numbers, "<i4"),
                    _array(path, index, positions, "<f8").reshape(-1, 3),
                    energy,
                    None if forces is None else _array(path, index, forces, "<f8").reshape(-1, 3),
                    _pairs(pairs),
                )
    except (sqlite3.Error, OverflowError) as error:
        raise DataError(f"{path} cannot be read as an ASE database ({error}): copy it again") from error


def _array(path: Path, index: int, blob: Any, dtype: str) -> np.ndarray:
    """Plain numbers out of a row; those of positions and forces come in threes."""
    unit = np.dtype(dtype).itemsize * (3 if dtype == "<f8" else 1)
    if not isinstance(blob, bytes) or len(blob) % unit:
        raise DataError(f"{path}, frame {index}: its arrays are damaged; copy the file again")
    return np.frombuffer(blob, dtype)


def _pairs(text: Any) -> dict[str, Any]:
    try:
        pairs = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return pairs if isinstance(pairs, dict) else {}
