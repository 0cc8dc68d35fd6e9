"""Frames on their way into a store, kept on disk: what is imported need not fit in memory."""

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

NAMES = ("file", "kept")
KINDS = ("positions", "forces")
FILES = tuple(f"{name}.{kind}" for name in NAMES for kind in KINDS)
"""Everything that spools write into their folder."""


class Spool:
    """Positions and forces of frames, appended to two flat float32 files and read back through memory maps."""

    def __init__(self, folder: Path, name: str):
        self._paths = (folder / f"{name}.{KINDS[0]}", folder / f"{name}.{KINDS[1]}")
        self._handles: tuple[BinaryIO, BinaryIO] | None = None
        self.n_atoms = 0

    def __enter__(self) -> "Spool":
        self._handles = (self._paths[0].open("wb"), self._paths[1].open("wb"))
        return self

    def __exit__(self, *_: "type[BaseException] | BaseException | TracebackType | None") -> None:
        assert self._handles is not None
        for handle, path in zip(self._handles, self._paths, strict=True):
            handle.close()
            path.unlink(missing_ok=True)

    def append(self, positions: np.ndarray, forces: np.ndarray) -> int:
        """Append atoms (``[..., 3]``), rounded to float32, and return the number of the first."""
        assert self._handles is not None
        start = self.n_atoms
        for handle, array in zip(self._handles, (positions, forces), strict=True):
            handle.write(np.ascontiguousarray(array, np.float32).tobytes())
        self.n_atoms += positions.size // 3
        return start

    def maps(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and forces of all atoms appended so far, float32 ``[n_atoms, 3]``, mapped from disk."""
        assert self._handles is not None
        if self.n_atoms == 0:
            return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)
        for handle in self._handles:
            handle.flush()
        first, second = (np.memmap(path, np.float32, "r", shape=(self.n_atoms, 3)) for path in self._paths)
        return first, second


def centred(positions: np.ndarray) -> np.ndarray:
    """A geometry (``[n_atoms, 3]``) moved to its centre if it lies so far off that float32 would round its bonds.

    Coordinates of up to twice the geometry's extent lose one bit at most, and stay as they are.
    """
    middle = positions.mean(axis=0)
    about = positions - middle
    return about if np.abs(positions).max() > 2.0 * np.abs(about).max() else positions
