"""Jobs: pieces of labelling work whose results are files named by what they contain, so that none is done twice."""

import hashlib
import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from compbench_jax._version import __version__
from compbench_jax.errors import DataError
from compbench_jax.files import write_atomically
from compbench_jax.labelling.executors import Executor, require_visible

DAMAGED = (ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, RecursionError, zipfile.BadZipFile,
           zlib.error, struct.error, tokenize.TokenError, NotImplementedError, OverflowError)  # fmt: skip
"""What reading an archive raises that is not whole."""


class Job(Protocol):
    """One piece of work; ``str(job)`` is how messages name it."""

    @property
    def path(self) -> Path:
        """File of the result; its name depends on everything that decides the content."""
        ...

    @property
    def size(self) -> int:
        """Expected time, in any unit: long jobs begin first."""
        ...

    def perform(self) -> None:
        """Compute the result and write its file. Runs in a worker."""
        ...


AnyJob = TypeVar("AnyJob", bound=Job)


def run_jobs(
    jobs: Sequence[AnyJob],
    is_done: Callable[[AnyJob], bool],
    executor: Executor,
    on_start: Callable[[int, int], None],
    on_done: Callable[[], None],
) -> None:
    """Perform the jobs that are not done, long ones first, so that no worker is left alone with one at the end.

    Args:
        jobs: all that are wanted.
        is_done: whether a job's result is there and whole.
        executor: whoever computes.
        on_start: called once with the number of jobs done and in all.
        on_done: called after each further job.

    Raises:
        DataError: a worker has other versions of the programs, or its file is not to be seen here.
    """
    missing = [job for job in jobs if not is_done(job)]
    on_start(len(jobs) - len(missing), len(jobs))
    for job, path in executor.run(perform, sorted(missing, key=lambda job: -job.size)):
        if Path(path).name != job.path.name:
            raise DataError(
                f"{job}: its worker runs other versions of compbench_jax or the labelling program than this process: "
                "install the same everywhere"
            )
        require_visible(job.path, job)
        on_done()


def perform(job: Job) -> str:
    """Perform a job, in a worker; returns the path of its result."""
    job.perform()
    return str(job.path)


def content_address(content: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> str:
    """Twenty-four hexadecimal digits that depend on these values, these arrays and the version of this program."""
    text = json.dumps({"program": __version__, **content}, sort_keys=True)
    key = hashlib.sha256(text.encode())
    for array in arrays:
        key.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return key.hexdigest()[:24]


def write_result(path: Path, records: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write a job's result, whole or not at all: arrays, and records as JSON."""
    buffer = io.BytesIO()
    texts = {name: np.frombuffer(json.dumps(value).encode(), np.uint8) for name, value in records.items()}
    np.savez(buffer, **texts, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def read_result(path: Path, records: Sequence[str], arrays: Sequence[str]) -> dict[str, Any] | None:
    """A job's result, or None if its file is absent or not whole (the job is then performed again)."""
    try:
        if not path.is_file():  # reading from a pipe would wait for ever
            return None
        with np.load(path, allow_pickle=False) as file:
            content = {name: json.loads(file[name].tobytes()) for name in records}
            return content | {name: file[name] for name in arrays}
    except DAMAGED:
        return None
