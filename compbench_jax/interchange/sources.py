"""The files of an import: which ones, what reads them, and in which units they are."""

import fnmatch
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.ase_lmdb import read_ase_lmdb
from compbench_jax.interchange.database import read_database
from compbench_jax.interchange.extended_xyz import read_extended_xyz
from compbench_jax.interchange.frame import ForeignFrame, Units
from compbench_jax.interchange.hdf5 import read_hdf5
from compbench_jax.interchange.labels import LabelKeys
from compbench_jax.interchange.npz import read_npz
from compbench_jax.interchange.trajectory import read_trajectory
from compbench_jax.interchange.units import ENERGY_UNITS, LENGTH_UNITS, Factors, resolve_units

ASE_UNITS = ("eV", "Ang")

READERS: dict[str, tuple[Callable[[Path, LabelKeys], Iterator[ForeignFrame]], tuple[str, str] | None]] = {
    ".traj": (read_trajectory, ASE_UNITS),
    ".db": (read_database, ASE_UNITS),
    ".extxyz": (read_extended_xyz, None),
    ".xyz": (read_extended_xyz, None),
    ".npz": (read_npz, None),
    ".aselmdb": (read_ase_lmdb, ASE_UNITS),
    ".h5": (read_hdf5, None),
    ".hdf5": (read_hdf5, None),
}
"""By suffix: what reads the file, and the units that its format prescribes."""


@dataclass(frozen=True)
class Source:
    """One file to import: where it is, and its name in messages and in the manifest."""

    path: Path
    name: str


@dataclass(frozen=True)
class Found:
    """What a search for files found.

    Attributes:
        sources: the files, in the order of their names within each path given.
        others: number of files in folders whose suffix no reader knows.
        outside: links that lead out of the folder they lie in, not followed.
    """

    sources: tuple[Source, ...]
    others: int
    outside: tuple[str, ...]


def find_sources(paths: Sequence[Path], root: Path | None = None) -> Found:
    """Find the files to import: those named, and those of a known suffix in the folders named, recursively.

    Hidden files and folders are passed over. A link is followed where it stays in its folder.

    Args:
        paths: files and folders.
        root: folder that files given are named from; without it they go by their own name.

    Raises:
        CompBenchError: a path does not exist, a file named has an unknown suffix, or there is nothing to import.
    """
    if not paths:
        raise CompBenchError(f"nothing to import: give files or folders {_formats()}")
    sources: dict[Path, Source] = {}
    others, outside = 0, []
    for path in paths:
        if path.exists() and not path.is_dir():
            if not path.is_file():
                raise CompBenchError(f"{path} is no plain file (a pipe or device): give files or folders to import")
            if path.suffix.lower() not in READERS:
                raise CompBenchError(f"{path}: no reader for {path.suffix or 'files without suffix'!r} {_formats()}")
            name = path.name if root is None else path.relative_to(root).as_posix()
            sources.setdefault(path.resolve(), Source(path, name))
            continue
        if not path.is_dir():
            raise CompBenchError(f"{path} does not exist: give files or folders to import")
        real = path.resolve()
        for file in _walk(path):
            known = file.suffix.lower() in READERS
            if file.is_symlink() and not file.resolve().is_relative_to(real):
                if known or file.is_dir():
                    outside.append(file.relative_to(path).as_posix())
            elif file.is_file() and known:
                sources.setdefault(file.resolve(), Source(file, file.relative_to(path).as_posix()))
            elif file.is_file():
                others += 1
    if not sources:
        raise CompBenchError(f"nothing to import in {', '.join(map(str, paths))} {_formats()}")
    return Found(tuple(sources.values()), others, tuple(outside))


def _walk(folder: Path) -> Iterator[Path]:
    """Files and links to folders below a folder, hidden ones left out; no linked folder is entered."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here) / name for name in sorted(files) if not name.startswith("."))
        yield from (Path(here) / name for name in folders if (Path(here) / name).is_symlink())


def _formats() -> str:
    return f"(formats: {', '.join(READERS)})"


def matches(source: Source, pattern: str) -> bool:
    """Whether a pattern with ``*`` and ``?`` fits the file's name, or its path in the folder given."""
    return fnmatch.fnmatchcase(source.name, pattern) or fnmatch.fnmatchcase(source.path.name, pattern)


@dataclass(frozen=True)
class UnitChoice:
    """The units that the user states; None where nothing was said.

    Raises:
        CompBenchError: a unit that does not exist.
    """

    energy: str | None = None
    length: str | None = None
    force: str | None = None

    def __post_init__(self) -> None:
        resolve_units(self.energy or "eV", self.length or "Ang", self.force)

    def units_of(self, source: Source, stated: Units) -> Factors:
        """Units of a file: what it states, else what the user states, else what its format prescribes.

        Raises:
            DataError: nobody states them, or file and user contradict each other.
        """
        prescribed = READERS[source.path.suffix.lower()][1]
        names = []
        for k, (option, chosen, table) in enumerate(
            (("--energy-unit", self.energy, ENERGY_UNITS), ("--length-unit", self.length, LENGTH_UNITS))
        ):
            name = stated[k] or chosen or (prescribed and prescribed[k])
            if name is None:
                raise DataError(f"{source.path} does not say its units: give {option} ({', '.join(table)})")
            names.append(name)
        try:
            units = resolve_units(names[0], names[1], stated[2] or self.force)
        except CompBenchError as error:
            raise DataError(f"{source.path}: {error}") from error
        asked = resolve_units(self.energy or names[0], self.length or names[1], self.force or stated[2])
        if asked != units:
            raise DataError(f"{source.path} states {units.text}, the options {asked.text}: leave the options out")
        return units
