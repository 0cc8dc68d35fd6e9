"""Errors that a user can fix: each is one line that says what, where and how to fix it.

Entry points print the line and leave with exit code 2 (see ``compbench_jax.cli.exit_code.exit_code_of``). Anything that
is not a ``CompBenchError`` is a bug of ours and keeps its traceback.
"""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class CompBenchError(Exception):
    """An error whose message is complete, one line long, and addressed to the user."""


class DataError(CompBenchError):
    """A store, frame or file does not hold what it should."""


class TaskError(CompBenchError):
    """A task is unknown, badly parametrised, or cannot be built from the given store."""


class RunError(CompBenchError):
    """A training run is missing, incomplete, or went wrong (a non-finite loss, say)."""


def suggestion(word: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the one of the known that was perhaps meant, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(str(word), known, 1)
    return f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(known)}"


def optional_import(module: str, extra: str, purpose: str) -> ModuleType:
    """Import ``module``, or raise a :class:`CompBenchError` that names the extra which installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CompBenchError(
            f"{purpose} needs the package {module.split('.')[0]!r}: pip install 'compbench_jax[{extra}]'"
        ) from error
