"""Extended XYZ, read frame by frame with every declared number checked against the file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.frame import ForeignFrame, labelled_frame

MAX_LINE = 1 << 16
SHORTEST_ATOM = len("H 0 0 0\n")
DEFAULT_PROPERTIES = "species:S:1:pos:R:3"
ENERGY_KEYS = ("energy", "Energy", "REF_energy")
FORCE_KEYS = ("forces", "force", "Forces", "REF_forces")
_PAIR = re.compile(r'([^\s="]+)(?:=(?:"((?:\\.|[^"\\])*)"|(\S*)))?')


def read_extended_xyz(path: Path) -> Iterator[ForeignFrame]:
    """Read the frames of an extended XYZ file one by one.

    The energy is ``energy`` (or ``REF_energy``) of the comment line, forces are the columns ``forces`` (or ``force``,
    ``REF_forces``). A file that states ``energy_unit`` and ``length_unit``, as exports of this program do, is believed.

    Raises:
        DataError: a declared number of atoms that the file cannot hold, a damaged frame, or one without labels.
    """
    from ase.data import atomic_numbers

    size = path.stat().st_size
    with path.open("rb") as handle:
        index = 0
        while line := handle.readline(MAX_LINE):
            if not line.strip():
                continue
            where = f"{path}, frame {index}"
            n_atoms = _count(line, where)
            if n_atoms * SHORTEST_ATOM > size - handle.tell():
                raise DataError(f"{where} declares {n_atoms} atoms, more than the file can hold: copy it again")
            info = parse_comment(_text(_line(handle, where), where))
            columns = _columns(info.get("Properties", DEFAULT_PROPERTIES), where)
            tokens = b" ".join(_line(handle, where) for _ in range(n_atoms)).split()
            width = max(stop for _, stop in columns.values())
            if len(tokens) != n_atoms * width:
                raise DataError(f"{where}: {n_atoms} lines of {width} columns were declared, the file holds others")
            table = np.array(tokens).reshape(n_atoms, width)
            try:
                positions = _numeric(table, columns["pos"])
                forces = next((_numeric(table, columns[key]) for key in FORCE_KEYS if key in columns), None)
                if "species" in columns:
                    symbols = table[:, columns["species"][0]].tolist()
                    numbers = np.array([atomic_numbers[symbol.decode().capitalize()] for symbol in symbols])
                else:
                    numbers = table[:, columns["Z"][0]].astype(np.int64)
            except (KeyError, ValueError) as error:
                raise DataError(f"{where} is damaged ({error}): copy or write the file again") from error
            energy = next((info[key] for key in ENERGY_KEYS if key in info), None)
            yield labelled_frame(path, index, numbers, positions, energy, forces, dict(info))
            index += 1


def parse_comment(line: str) -> dict[str, str]:
    """The ``key=value`` pairs of a comment line; values may be quoted, quotes within escaped by a backslash."""
    pairs = {}
    for match in _PAIR.finditer(line):
        key, quoted, plain = match.groups()
        pairs[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain or ""
    return pairs


def _count(line: bytes, where: str) -> int:
    try:
        count = int(line[:32]) if len(line) <= 32 else -1
    except ValueError:
        count = -1
    if count < 1:
        raise DataError(f"{where} does not begin with its number of atoms: is this an XYZ file?")
    return count


def _line(handle: BinaryIO, where: str) -> bytes:
    line = handle.readline(MAX_LINE)
    if len(line) == MAX_LINE:
        raise DataError(f"{where} has a line of over {MAX_LINE} characters: is this an XYZ file?")
    return line


def _text(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: its comment line is not text: is this an XYZ file?") from error


def _columns(properties: str, where: str) -> dict[str, tuple[int, int]]:
    """First and last-plus-one column of each property, from ``name:type:count:…``."""
    words = properties.split(":")
    columns, start = {}, 0
    try:
        for name, count in zip(words[::3], words[2::3], strict=True):
            if not 1 <= int(count) <= 1000:
                raise ValueError(f"{count} columns")
            columns[name] = (start, start + int(count))
            start += int(count)
    except ValueError as error:
        raise DataError(f"{where}: Properties={properties[:80]} cannot be read ({error})") from error
    if "pos" not in columns or not {"species", "Z"} & set(columns):
        raise DataError(f"{where}: Properties={properties[:80]} lacks positions or elements")
    return columns


def _numeric(table: np.ndarray, span: tuple[int, int]) -> np.ndarray:
    return table[:, span[0] : span[1]].astype(np.float64)
