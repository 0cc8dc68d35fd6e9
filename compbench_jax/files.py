"""Reading files that may hold anything, and writing files so that they are whole or absent."""

import io
import json
import math
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, get_args, get_origin, get_type_hints

import numpy as np

from compbench_jax.errors import DataError, RunError, suggestion

MOST_BYTES = 64 << 20
"""Of a text or JSON file that is read, unless said otherwise."""

_swept: set[Path] = set()


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` is either what it was or whole; see :func:`atomic_file`."""
    with atomic_file(path) as handle:
        handle.write(content)


def save(path: Path, content: bytes) -> None:
    """Write a file of a run whole or not at all; its folder is made.

    Raises:
        RunError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise RunError(
            f"cannot write {path} ({error.strerror or error}): free space or check permissions, then rerun"
        ) from error


def array_bytes(array: np.ndarray) -> bytes:
    """An array as the bytes of an ``.npy`` file, never a pickle."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing that becomes ``path`` when the block ends without an error.

    It is synchronised to the disk, then renamed. A link is followed, so that the file it points to is written. The
    first one of a process in a folder removes what dead processes left there (:func:`sweep`).

    Raises:
        DataError: ``path`` is a folder, a device or a pipe.
        OSError: it cannot be written.
    """
    path = path.resolve() if path.is_symlink() else path
    if path.parent.resolve() not in _swept:
        _swept.add(path.parent.resolve())
        sweep(path.parent)
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is not a regular file and is not replaced: give the name of a file")
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove temporary files of :func:`atomic_file` in a folder whose process, on this machine, has ended."""
    for path in folder.glob(".*.tmp"):
        match = re.fullmatch(rf"\..*\.{re.escape(socket.gethostname())}\.(\d+)\.tmp", path.name)
        if match and not is_alive(int(match[1])):
            with suppress(OSError):  # of another user
                path.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Whether a process with this number runs on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Content of a regular file; a pipe or device in its place is not waited for.

    Raises:
        DataError: there is none, it is no regular file, it is larger than ``most_bytes``, or it cannot be read.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path} is not a regular file: put a file there")
            content = file.read(most_bytes + 1)
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}: check the name, or restore it") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read ({reason}): check the name and the permissions") from error
    if len(content) > most_bytes:
        raise DataError(f"{path} has more than {most_bytes / 2**20:g} MB, too much for such a file: check what it is")
    return content


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Text of a regular file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: see :func:`read_bytes`; or it is not UTF-8.
    """
    try:
        return read_bytes(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 (byte {error.start}): restore it or write it again") from error


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """Content of a JSON file that may hold anything; its numbers are finite, its strings can be written as UTF-8.

    Raises:
        DataError: see :func:`read_text`; or it is not valid JSON.
    """
    text = read_text(path, most_bytes)
    try:
        return parse_json(text)
    except ValueError as error:
        raise DataError(f"{path} is not valid JSON ({error}): restore it or write it again") from error


def parse_json(text: str) -> Any:
    """Value of a JSON text; its numbers are finite, its strings can be written as UTF-8.

    Raises:
        ValueError: it is not valid JSON, or nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
        if "\\ud" in text.lower():  # perhaps half of a surrogate pair
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def from_json(kind: Any, value: Any, name: str = "") -> Any:
    """A value of a type, from JSON: a dataclass from an object (what is left out has its default), a tuple from a list.

    Args:
        kind: a dataclass, ``Literal``, tuple of any length, union, number, string, bool or ``Any``.
        value: from a file that may hold anything.
        name: of the value, for the message.

    Raises:
        ValueError: an unknown or missing field, or a value of another type; says its name and what was perhaps meant.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        types, known = get_type_hints(kind), [f.name for f in fields(kind)]
        start = f"{name}." if name else ""
        for key in value:
            if key not in known:
                raise ValueError(f"{start}{key} is no setting of this version: {suggestion(key, known)}")
        for f in fields(kind):
            if f.name not in value and f.default is f.default_factory is MISSING:
                raise ValueError(f"{start}{f.name} is missing")
        return kind(**{key: from_json(types[key], item, f"{start}{key}") for key, item in value.items()})
    if origin is Literal:
        if value in parts:
            return value
        raise ValueError(f"{name} is {value!r}: {suggestion(value, parts)}")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(from_json(parts[0], item, name) for item in value)
    simple = parts if origin is UnionType else (kind,)
    if kind is Any or type(value) in simple:
        return value
    if float in simple and type(value) is int and abs(value) < 2**53:
        return float(value)
    wanted = " or ".join("null" if part is NoneType else getattr(part, "__name__", str(part)) for part in simple)
    raise ValueError(f"{name} is {value!r:.60}: give a value of type {wanted}")
