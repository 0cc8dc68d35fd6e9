"""Classes in Python files of the user's own: what ``FILE.py:CLASS`` names."""

import contextlib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from compbench_jax.errors import CompBenchError, suggestion
from compbench_jax.files import read_bytes

FORM = re.compile(r"(.+\.py):(\w+)")

_loaded: dict[str, tuple[Path, str]] = {}
"""By name of the modules made here: the file, and the SHA-256 of what was run."""


def load_class(text: str) -> type:
    """The class that ``FILE.py:CLASS`` names. Its file is run, once, as a module; it may import files next to it.

    Args:
        text: path of the file, a colon, and the name of the class.

    Raises:
        CompBenchError: no such file or class, or the file cannot be run; says in which line.
    """
    form = FORM.fullmatch(text)
    if form is None:
        raise CompBenchError(f"{text!r} names no class in a file: write FILE.py:CLASS")
    path = Path(form[1]).expanduser().resolve()
    module = load_file(path)
    found = getattr(module, form[2], None)
    if not isinstance(found, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise CompBenchError(
            f"{path} has no class {form[2]!r}: {suggestion(form[2], classes) if classes else 'it has none'}"
        )
    return found


def load_file(path: Path) -> ModuleType:
    """The module that a file makes; the same one as long as its content is the same.

    Raises:
        CompBenchError: there is no such file, or it cannot be run.
    """
    content = read_bytes(path)
    for imported in list(sys.modules.values()):  # by a script
        if getattr(imported, "__file__", None) == str(path) and imported.__name__ not in ("__main__", *_loaded):
            return imported
    name = f"own_{path.stem}_{hashlib.sha256(str(path).encode() + content).hexdigest()[:12]}"
    if name in _loaded:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look types up
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        exec(compile(content, path, "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise CompBenchError(f"{path} cannot be run: {what_failed(error, path)}") from error
    _loaded[name] = path, hashlib.sha256(content).hexdigest()
    return module


def loaded_files() -> list[Path]:
    """Files that were loaded, for :func:`load_files` of a process that is to receive objects of their classes."""
    return [path for path, _ in _loaded.values()]


def load_files(paths: Sequence[Path]) -> None:
    """Load files that another process loaded; those that are gone since are needed no more."""
    for path in paths:
        with contextlib.suppress(CompBenchError):
            load_file(path)


def is_own(kind: type) -> bool:
    """Whether a class is none of this package."""
    return not kind.__module__.startswith("compbench_jax.")


def source_of(kind: type) -> tuple[Path, str]:
    """The file that a class of one's own is in, and its SHA-256.

    Raises:
        CompBenchError: it is in no file that could be loaded again: typed in, or part of the program that runs.
    """
    if kind.__module__ in _loaded:
        return _loaded[kind.__module__]
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None or kind.__module__ == "__main__":
        raise CompBenchError(
            f"the class {kind.__name__} is part of the running program and could not be loaded again: put it into a "
            "file of its own and import it from there"
        )
    path = Path(file).resolve()
    return path, hashlib.sha256(read_bytes(path)).hexdigest()


def what_failed(error: BaseException, path: Path) -> str:
    """An error of the user's code in one line: the last line of the file that took part, and the message."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
