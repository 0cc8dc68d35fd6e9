"""The folder that a store is written into: one writer at a time, and no file of the user's replaced."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compbench_jax.errors import CompBenchError
from compbench_jax.store.store import FILES

LOCK = ".writing"
"""Name of the lock file; the system frees the lock of a process that dies."""

SHARDS = "shards"
_SHARD = re.compile(r"\.?(label-)?[0-9a-f]{24}\.npz(\..+\.tmp)?")


@contextmanager
def writing(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, made if need be; one that was made and stays empty is removed at the end.

    Args:
        folder: where to write.
        shared: whether others may hold a shared lock as well (parts of a job array).

    Raises:
        CompBenchError: another process writes into the folder, or it cannot be written.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(folder, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CompBenchError(f"{folder} cannot be written ({error.strerror}): choose another --out") from error
    try:
        yield
    finally:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / LOCK).unlink(missing_ok=True)
        except OSError:  # others share it still: the last one removes it
            pass
        os.close(handle)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _locked(folder: Path, kind: int) -> int:
    """A descriptor of the lock file, locked."""
    path = folder / LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise CompBenchError(
                f"another process writes into {folder}: wait for its end, or choose another --out"
            ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):  # a file system without locks
                os.close(handle)
                raise
        if path.exists() and os.path.samestat(path.stat(), os.fstat(handle)):
            return handle
        os.close(handle)  # its last holder removed it in between


def check_target(folder: Path, begun: bool) -> None:
    """Refuse a folder in which a store would replace a file of the user's.

    Args:
        folder: where to write.
        begun: whether arrays there are those of the same command, interrupted.

    Raises:
        CompBenchError: an array of this name is there, or ``shards`` is no folder.
    """
    shards = folder / SHARDS
    if os.path.lexists(shards) and (shards.is_symlink() or not shards.is_dir()):
        raise CompBenchError(f"{shards} is in the way: move it, or choose another --out")
    for name in FILES:
        if not begun and os.path.lexists(folder / name):
            raise CompBenchError(
                f"{folder} holds another {name}, which is not replaced: move it, or choose another --out"
            )


def shards_in(folder: Path) -> list[Path]:
    """Shards of a store in the making, and their temporary files, in ``folder/shards``; other files are the user's."""
    shards = folder / SHARDS
    if shards.is_symlink() or not shards.is_dir():
        return []
    return [path for path in shards.iterdir() if _SHARD.fullmatch(path.name)]


def remove_shards(folder: Path) -> None:
    """Remove the shards, and their folder unless it holds other files."""
    for path in shards_in(folder):
        path.unlink(missing_ok=True)
    shards = folder / SHARDS
    if shards.is_dir() and not shards.is_symlink() and not any(shards.iterdir()):
        shards.rmdir()
