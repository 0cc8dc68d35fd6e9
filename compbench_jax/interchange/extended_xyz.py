"""Extended XYZ, read frame by frame with every declared number checked against the file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.frame import ForeignFrame, labelled_frame, lone_atom
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys

MAX_LINE = 1 << 16
SHORTEST_ATOM = len("H 0 0 0\n")
DEFAULT_PROPERTIES = "species:S:1:pos:R:3"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PAIR = re.compile(
    r"""([^\s="']+)(?:\s*=\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|\{([^{}]*)\}|\[([^\[\]]*)\]|(\S*)))?"""
)


def read_extended_xyz(path: Path, keys: LabelKeys = ANY_KEYS) -> Iterator[ForeignFrame]:
    """Read the frames of an extended XYZ file one by one.

    The energy stands in the comment line, forces are columns; both are of one label set (:mod:`.labels`). A file that
    states ``energy_unit`` and ``length_unit``, as exports of this program do, is believed. A ``Lattice`` is periodic
    unless ``pbc`` says otherwise.

    Raises:
        DataError: a declared number of atoms that the file cannot hold, a damaged or cut frame, one without labels, or
            one whose periodic images are near.
    """
    from ase.data import atomic_numbers

    size = path.stat().st_size
    with path.open("rb") as handle:
        if handle.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
            handle.seek(0)
        index = 0
        while line := handle.readline(MAX_LINE):
            if not line.strip():
                continue
            where = f"{path}, frame {index}"
            n_atoms = _count(line, where)
            if n_atoms * SHORTEST_ATOM > size - handle.tell() + 1:  # the last line break may be missing
                raise DataError(f"{where} declares {n_atoms} atoms, more than the file can hold: copy it again")
            info = parse_comment(_text(_line(handle, where), where))
            properties = next((info[key] for key in info if key.casefold() == "properties"), DEFAULT_PROPERTIES)
            columns = _columns(properties, where)
            lines = [_line(handle, where) for _ in range(n_atoms)]
            _check_end(lines, where)
            tokens = b" ".join(lines).split()
            width = max(stop for _, stop in columns.values())
            if len(tokens) != n_atoms * width:
                raise DataError(f"{where}: {n_atoms} lines of {width} columns were declared, the file holds others")
            table = np.array(tokens).reshape(n_atoms, width)
            try:
                positions = _numeric(table, columns["pos"])
                if "species" in columns:
                    symbols = table[:, columns["species"][0]].tolist()
                    numbers = np.array([atomic_numbers[symbol.decode().capitalize()] for symbol in symbols])
                else:
                    numbers = table[:, columns["Z"][0]].astype(np.int64)
                vectors = tuple(name for name, (start, stop) in columns.items() if name != "pos" and stop - start == 3)
                alone = lone_atom(numbers, keys, info, vectors)
                if alone is not None:
                    yield alone
                    index += 1
                    continue
                labels = keys.choose(where, tuple(info), vectors)
                forces = _numeric(table, columns[labels.forces])
            except (KeyError, ValueError) as error:
                raise DataError(f"{where} is damaged ({error}): copy or write the file again") from error
            cell = info["Lattice"].split() if "Lattice" in info else None
            yield labelled_frame(
                path, index, numbers, positions, info[labels.energy], forces, labels, info, cell, _periodic(info, where)
            )
            index += 1


def parse_comment(line: str) -> dict[str, str]:
    """The ``key=value`` pairs of a comment line.

    Values may stand in double or single quotes, braces or brackets; quotes within quotes are escaped by a backslash.
    """
    pairs = {}
    for match in _PAIR.finditer(line):
        key, double, single, *others = match.groups()
        quoted = double if double is not None else single
        plain = next((other for other in others if other is not None), "")
        pairs[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
    return pairs


def _check_end(lines: list[bytes], where: str) -> None:
    """Refuse a last line that may have been cut: without a line break, and not as long as the one before it."""
    last = lines[-1]
    if not last or last.endswith(b"\n") or len(last) == len(lines[-2].rstrip(b"\r\n") if len(lines) > 1 else b""):
        return
    raise DataError(
        f"{where}: the file ends without a line break and may be cut: copy it again, or end it with one if it is whole"
    )


def _periodic(info: dict[str, str], where: str) -> list[bool]:
    """Along which vectors of its cell a frame is periodic."""
    words = info["pbc"].replace(",", " ").split() if "pbc" in info else ["T" if "Lattice" in info else "F"] * 3
    known = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
    if len(words) != 3 or not {word.casefold() for word in words} <= set(known):
        raise DataError(f"{where}: pbc={info['pbc'][:40]!r} is not three of T and F: correct it")
    return [known[word.casefold()] for word in words]


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
