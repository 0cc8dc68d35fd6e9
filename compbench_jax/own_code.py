"""Classes in Python files of the user's own: what ``FILE.py:CLASS`` names."""

import ast
import contextlib
import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from compbench_jax.errors import CompBenchError, suggestion
from compbench_jax.files import read_bytes

FORM = re.compile(r"(.+\.py):(\w+)")


@dataclass(frozen=True)
class Source:
    """Code that was run.

    Attributes:
        path: of the file.
        files: contents of the file and of those next to it that it imports, by their paths from its folder.
    """

    path: Path
    files: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        """Of the file; if there are several, of their names and SHA-256."""
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())}
        if len(sums) == 1:
            return sums[self.path.name]
        return hashlib.sha256("".join(f"{item}  {name}\n" for name, item in sums.items()).encode()).hexdigest()


_loaded: dict[str, Source] = {}
"""By name of the modules made here: what was run."""


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
    """The module that a file makes; the same one for a copy of it.

    Raises:
        CompBenchError: there is no such file, it cannot be run, or it imports a file next to it that differs from one
            of this name that was imported before.
    """
    source = read_source(path)
    for imported in list(sys.modules.values()):  # by a script
        if getattr(imported, "__file__", None) == str(path) and imported.__name__ not in ("__main__", *_loaded):
            return imported
    name = f"own_{path.stem}_{source.sha256[:12]}"
    if name in _loaded:
        _loaded[name] = source
        return sys.modules[name]
    _refuse_other_neighbours(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look types up
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        exec(compile(source.files[path.name], path, "exec"), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise CompBenchError(f"{path} cannot be run: {_reason(error, str(path))}") from error
    _loaded[name] = source
    return module


def read_source(path: Path) -> Source:
    """A file, and the files and packages next to it that it imports, at any depth.

    Raises:
        CompBenchError: there is no such file.
    """
    files = {path.name: read_bytes(path)}
    waiting = list(files.values())
    while waiting:
        for name in _imported(waiting.pop()):
            package = path.parent / name
            paths = [package.with_suffix(".py")]
            if (package / "__init__.py").is_file() and name != "compbench_jax":
                paths = sorted(package.rglob("*.py"))
            new = {str(item.relative_to(path.parent)): item for item in paths if item.is_file()}
            new = {key: item for key, item in new.items() if key not in files}
            files |= {key: read_bytes(item) for key, item in new.items()}
            waiting += [files[key] for key in new]
    return Source(path, files)


def _imported(content: bytes) -> set[str]:
    """First names of the modules that a file imports; none if it is no Python, which running it will say."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in names}


def _refuse_other_neighbours(source: Source) -> None:
    """Python has one module per name: refuse a second file of a name that was imported."""
    for other in _loaded.values():
        for name in source.files.keys() & other.files.keys() - {source.path.name, other.path.name}:
            if source.files[name] != other.files[name]:
                raise CompBenchError(
                    f"{source.path} imports {name}, and {other.path}, which was loaded before, imports another file "
                    "of this name: load them in different processes"
                )


def loaded_files() -> list[Path]:
    """Files that were loaded, for :func:`load_files` of a process that is to receive objects of their classes."""
    return [source.path for source in _loaded.values()]


def load_files(paths: Sequence[Path]) -> None:
    """Load files that another process loaded; those that are gone since are needed no more."""
    for path in paths:
        with contextlib.suppress(CompBenchError):
            load_file(path)


def is_own(kind: type) -> bool:
    """Whether a class is none of this package."""
    return not kind.__module__.startswith("compbench_jax.")


def source_of(kind: type) -> Source:
    """The code that a class of one's own is in.

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
    return read_source(Path(file).resolve())


def class_with(name: str, sha256: str) -> type | None:
    """The class of this name in code that was loaded, or None."""
    modules = (sys.modules[key] for key, source in _loaded.items() if source.sha256 == sha256)
    return next((found for module in modules if isinstance(found := getattr(module, name, None), type)), None)


def what_failed(error: BaseException, kind: type) -> str:
    """An error of a class of one's own in one line: the last line of its file that took part, and the message."""
    return _reason(error, getattr(sys.modules.get(kind.__module__), "__file__", None))


def _reason(error: BaseException, file: str | None) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines = [error.lineno]
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
