"""A potential in a Python file of the user's: its configuration checked, recorded by file and SHA-256, found again."""

from collections.abc import Container
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.files import write_atomically
from compbench_jax.own_code import class_with, load_class, read_source, source_of, what_failed


class CodeError(RunError):
    """The file of a potential is gone, or is not what it was when the potential was trained."""


def configuration_in(text: str) -> Any:
    """The configuration, with its defaults, that ``FILE.py:CLASS`` names.

    Raises:
        CompBenchError: no such class, or one that is not made without arguments.
    """
    kind = load_class(text)
    try:
        return kind()
    except Exception as error:
        reason = what_failed(error, kind)
        raise RunError(f"{text} is not made: every setting needs a default ({reason})") from error


def check_configuration(config: Any, taken: Container[str]) -> None:
    """Refuse what is no configuration of a potential.

    Args:
        config: of a class of the user's.
        taken: kinds that it cannot have, those of the package.

    Raises:
        RunError: says what it lacks.
    """
    name = type(config).__name__
    if not is_dataclass(config) or not callable(getattr(config, "build", None)):
        raise RunError(f"{name} is no configuration of a potential: write a frozen dataclass with build(normalisation)")
    for key in ("cutoff", "receptive_field"):
        value = getattr(config, key, None)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise RunError(f"{name}: its {key} is {value!r}: give a distance in Å, above 0")
    kind = getattr(config, "kind", None)
    if not isinstance(kind, str) or not kind.replace("-", "_").isidentifier():
        raise RunError(f"{name}: its kind is {kind!r}: give it a name, as in kind: ClassVar[str] = 'mine'")
    if kind in taken:
        raise RunError(f"{name}: its kind {kind!r} is that of a potential of this package: give another")
    reserved = [field.name for field in fields(config) if field.name in ("model", "code")]
    if reserved:
        raise RunError(f"{name}: a setting cannot be called {reserved[0]!r}: rename it")


def code_of(kind: type) -> dict[str, str]:
    """The code that the class of a configuration is in: name of the file, class, and SHA-256.

    Raises:
        CompBenchError: it is in no file.
    """
    source = source_of(kind)
    return {"file": source.path.name, "class": kind.__name__, "sha256": source.sha256}


def write_code(folder: Path, kind: type) -> None:
    """Copy the file of a class, and those next to it that it imports, into a folder."""
    for name, content in source_of(kind).files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        write_atomically(folder / name, content)


def class_of(code: Any, folder: Path) -> type:
    """Inverse of :func:`code_of`. The file is run if its content is what it was.

    Args:
        code: what :func:`code_of` said.
        folder: that has a copy of the file. Runs of older versions have none, but the path of the file.

    Raises:
        CodeError: it is gone or has changed.
        CompBenchError: it cannot be run here.
    """
    if not isinstance(code, dict) or not all(isinstance(code.get(key), str) for key in ("file", "class", "sha256")):
        raise CodeError("the configuration does not say in which file its potential is: restore it")
    found = class_with(code["class"], code["sha256"])
    if found is not None:
        return found
    recorded = Path(code["file"])
    places = [path for path in (folder / recorded.name, recorded) if path.is_file()]
    if not places:
        raise CodeError(f"{folder / recorded.name}, where the potential {code['class']} is, is gone: put it back")
    for path in places:
        if read_source(path).sha256 == code["sha256"]:
            return load_class(f"{path}:{code['class']}")
    raise CodeError(
        f"{places[0]}, where the potential {code['class']} is, has changed since the run was started (SHA-256 was "
        f"{code['sha256'][:12]}…): restore it, or train again in a new folder"
    )
