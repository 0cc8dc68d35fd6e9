"""ASE trajectories (``.traj``), read without running anything that they hold.

The file format is ASE's ULM (documented in ``ase/io/ulm.py``): a header, an array of offsets, and for each frame a
JSON text that names plain arrays by shape, dtype and offset. ASE's own reader believes these numbers and rebuilds the
objects that the JSON asks for; this one checks every number against the size of the file and takes plain numbers only.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.frame import ForeignFrame, labelled_frame, lone_atom
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys

MAGIC = (b"- of Ulm", b"AFFormat")
TAG = b"ASE-Trajectory"
DTYPES = {"float64", "float32", "int64", "int32", "int16", "int8", "uint8"}
MAX_JSON = 1 << 24
"""Bytes of the JSON text of one frame."""


def read_trajectory(path: Path, keys: LabelKeys = ANY_KEYS) -> Iterator[ForeignFrame]:
    """Read the frames of an ASE trajectory one by one (ASE's convention: eV, Å, eV/Å).

    Raises:
        DataError: another format (old pickled trajectories among them), a damaged file, a frame without labels, or one
            whose periodic images are near.
    """
    with path.open("rb") as handle:
        ulm = _Ulm(path, handle)
        numbers, periodic = None, [False] * 3
        for index, offset in enumerate(ulm.offsets):
            item = ulm.item(index, int(offset))
            own = item.get("numbers.")
            numbers = ulm.array(index, own) if own is not None else numbers
            periodic = ulm.truths(index, item["pbc"]) if "pbc" in item else periodic
            calculator, info = (
                found if isinstance(found, dict) else {} for found in (item.get("calculator."), item.get("info"))
            )
            vectors = tuple(key.removesuffix(".") for key in calculator if key.endswith("."))
            scalars = {**info, **{key: value for key, value in calculator.items() if not key.endswith(".")}}
            positions = ulm.array(index, item.get("positions."))
            alone = lone_atom(numbers, keys, scalars, vectors)
            if alone is not None:
                yield alone
                continue
            labels = keys.choose(f"{path}, frame {index}", tuple(scalars), vectors)
            yield labelled_frame(
                path,
                index,
                [] if numbers is None else numbers,
                positions,
                scalars[labels.energy],
                ulm.array(index, calculator[f"{labels.forces}."]),
                labels,
                scalars,
                item.get("cell"),
                periodic,
            )


class _Ulm:
    """A ULM file whose header was checked."""

    def __init__(self, path: Path, handle: BinaryIO):
        self._path, self._handle = path, handle
        self._size = path.stat().st_size
        header = handle.read(48)
        if len(header) < 48 or header[:8] not in MAGIC or header[8:24].rstrip() != TAG:
            raise DataError(
                f"{path} is not an ASE trajectory (old pickled ones are not read): convert it with `ase convert`"
            )
        _, n_items, start = np.frombuffer(header[24:48], "<i8").tolist()
        if n_items < 0 or start < 0 or start + 8 * n_items > self._size:
            raise self._damaged(f"its header declares {n_items} frames")
        handle.seek(start)
        self.offsets = np.frombuffer(handle.read(8 * n_items), "<i8")

    def item(self, index: int, offset: int) -> dict[str, Any]:
        """The JSON text of one frame."""
        length = -1
        if 0 <= offset <= self._size - 8:
            self._handle.seek(offset)
            length = int.from_bytes(self._handle.read(8), "little", signed=True)
        if not 0 <= length <= min(MAX_JSON, self._size - offset - 8):
            raise self._damaged(f"frame {index} lies outside the file")
        try:
            item = json.loads(self._handle.read(length))
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"frame {index} is not valid JSON") from error
        if not isinstance(item, dict) or item.get("_little_endian", True) is not True:
            raise self._damaged(f"frame {index} is not a little-endian ASE frame")
        return item

    def truths(self, index: int, values: Any) -> list[bool]:
        """Whether a frame is periodic along each vector of its cell."""
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(value, bool) for value in values):
            raise self._damaged(f"frame {index} has an impossible pbc")
        return values

    def array(self, index: int, description: Any) -> np.ndarray:
        """An array of plain numbers, after a check of its declared size."""
        try:
            shape, dtype, offset = description["ndarray"]
            sizes = [int(n) for n in shape]
            offset = int(offset)
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise self._damaged(f"frame {index} lacks an array") from error
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise self._damaged(f"frame {index} has an array of {str(dtype)[:20]!r}, not of plain numbers")
        n_bytes = math.prod(sizes) * np.dtype(dtype).itemsize
        if min([*sizes, offset], default=0) < 0 or offset + n_bytes > self._size:
            raise self._damaged(f"frame {index} declares an array larger than the file")
        self._handle.seek(offset)
        return np.frombuffer(self._handle.read(n_bytes), np.dtype(dtype).newbyteorder("<")).reshape(sizes)

    def _damaged(self, what: str) -> DataError:
        return DataError(f"{self._path} is damaged: {what}; copy it again")
