"""ASE databases in LMDB (``.aselmdb``), as OMol25 is published: each value is JSON, compressed by zlib.

Read without ASE's own class, which rebuilds objects that the JSON asks for. Other LMDB files often hold pickles: a
value that is not compressed JSON is refused.
"""

import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError, DataError, optional_import
from compbench_jax.files import atomic_file
from compbench_jax.interchange.database import MAX_VALUE, row_frame
from compbench_jax.interchange.export import frame_info
from compbench_jax.interchange.frame import ForeignFrame
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys
from compbench_jax.interchange.lookout import refuse_fatal
from compbench_jax.store.store import FrameStore

MAP_SIZE = 1 << 40
"""Bytes that a file may grow to while it is written; the file is as large as its content."""

ROWS = 1000
"""Rows written at once."""


def read_ase_lmdb(path: Path, keys: LabelKeys = ANY_KEYS) -> Iterator[ForeignFrame]:
    """Read the rows of an ASE database in LMDB one by one, in the order of their numbers.

    Labels are ``energy`` and ``forces`` of the row, or numbers and arrays in its ``data``; charge and spin (the
    multiplicity, in OMol25) stand there too. Units are those of the metadata, as in ASE databases of schnetpack, else
    ASE's.

    Raises:
        DataError: no such database, pickled values, a damaged row, a row without labels, or one whose periodic images
            are near.
        CompBenchError: the package lmdb is not installed.
    """
    optional_import("lmdb", "lmdb", "reading .aselmdb files")
    refuse_fatal(path, "ase_lmdb", keys)
    yield from frames_in(path, keys)


def frames_in(path: Path, keys: LabelKeys) -> Iterator[ForeignFrame]:
    """The same, without the look at whether the library survives the file."""
    import lmdb

    try:
        with (
            lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False) as environment,
            environment.begin() as transaction,
        ):
            names = list(transaction.cursor().iternext(keys=True, values=False))
            rows = sorted({int(name) for name in names if name.isdigit() and len(name) < 20})
            metadata = transaction.get(b"metadata")
            stated = {} if metadata is None else _value(path, "its metadata", metadata)
            for index, row in enumerate(rows):
                value = _value(path, f"frame {index}", transaction.get(b"%d" % row) or b"")
                yield _frame(path, index, value, stated, keys)
    except lmdb.Error as error:
        raise DataError(f"{path} cannot be read as an LMDB file ({str(error)[-80:]}): copy it again") from error


def _value(path: Path, what: str, content: bytes) -> dict[str, Any]:
    """A JSON object of the file.

    Raises:
        DataError: it is none, or too large.
    """
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(content, MAX_VALUE)
        if inflate.unconsumed_tail or not inflate.eof:
            raise ValueError("it is cut, or too large")
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")
    except (zlib.error, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: {what} is not JSON compressed by zlib ({str(error)[:60]}): write it with ASE, not as pickles"
        ) from error
    return found


def _frame(path: Path, index: int, row: dict[str, Any], stated: dict[str, Any], keys: LabelKeys) -> ForeignFrame:
    """The labelled frame of a row."""
    found: dict[str, Any] = {}
    for key in ("key_value_pairs", "data"):
        more = row.get(key)
        found |= more if isinstance(more, dict) else {}
    found |= {key: row[key] for key in ("charge", "magmom", "energy", "forces") if key in row}
    try:
        numbers, positions = _array(row["numbers"]), _array(row["positions"])
        scalars: dict[str, Any] = {}
        vectors: dict[str, np.ndarray] = {}
        for key, item in found.items():
            if not isinstance(item, list | dict):
                scalars[key] = item
            else:
                array = _array(item)
                if array.shape == (len(numbers), 3):
                    vectors[key] = array
                elif array.size == 1:
                    scalars[key] = array.item()
        cell = _array(row["cell"]) if row.get("cell") is not None else None
        periodic = np.broadcast_to(_array(row.get("pbc", False)).astype(bool), 3).tolist()
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{path}, frame {index}: its arrays are damaged ({str(error)[:60]}): copy it again") from error
    return row_frame(path, index, numbers, positions, scalars, vectors, cell, periodic, stated, keys)


def _array(value: Any) -> np.ndarray:
    """An array of ASE's JSON: a list, or ``{"__ndarray__": [shape, type, numbers]}``; other objects are empty."""
    if isinstance(value, dict):
        if "__ndarray__" not in value:
            return np.zeros(0)
        shape, dtype, numbers = value["__ndarray__"]
        array = np.asarray(numbers)
        if math.prod(shape) != array.size or np.dtype(str(dtype)).kind not in "biuf":
            raise ValueError(f"an array {shape} of {dtype} has {array.size} numbers")
        return array.reshape(shape).astype(str(dtype))
    array = np.asarray(value)
    return array if array.dtype.kind in "biuf" else np.zeros(0)


def export_ase_lmdb(store: FrameStore, path: Path) -> int:
    """Write every frame as a row of an ASE database in LMDB (Å, eV, eV/Å) and return their number.

    ``data`` has what :func:`compbench_jax.interchange.export.export_extxyz` writes into comment lines, so that an
    import restores the same arrays. The file appears when it is whole.

    Raises:
        CompBenchError: the file is already there, or the package lmdb is not installed.
    """
    lmdb = optional_import("lmdb", "lmdb", "writing .aselmdb files")
    if path.exists():
        raise CompBenchError(f"{path} exists: remove it or choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_file(path) as handle,
        lmdb.open(handle.name, subdir=False, lock=False, map_size=MAP_SIZE, sync=False) as environment,
    ):
        for start in range(0, store.n_frames, ROWS):
            with environment.begin(write=True) as transaction:
                for frame in range(start, min(start + ROWS, store.n_frames)):
                    transaction.put(b"%d" % (frame + 1), _packed(_row(store, frame)))
        with environment.begin(write=True) as transaction:
            transaction.put(b"nextid", _packed(store.n_frames + 1))
        environment.sync(True)
    return store.n_frames


def _packed(value: Any) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def _row(store: FrameStore, frame: int) -> dict[str, Any]:
    """A frame as ASE's database writes it."""
    rows = slice(int(store.offsets[frame]), int(store.offsets[frame + 1]))
    return {
        "unique_id": f"{frame + 1:032x}",
        "ctime": 0.0,
        "mtime": 0.0,
        "user": "",
        "numbers": _listed(store.graphs[store.molecule[frame]].numbers),
        "positions": _listed(store.positions[rows]),
        "cell": _listed(np.zeros((3, 3))),
        "pbc": _listed(np.zeros(3, bool)),
        "calculator": "unknown",
        "calculator_parameters": {},
        "energy": float(store.energy[frame]),
        "forces": _listed(store.forces[rows]),
        "data": frame_info(store, frame),
    }


def _listed(array: np.ndarray) -> dict[str, Any]:
    """An array in ASE's JSON; numbers of float32 as float64, in which they are the same."""
    values = array.astype(np.float64) if array.dtype.kind == "f" else array
    return {"__ndarray__": [list(values.shape), values.dtype.name, values.ravel().tolist()]}
