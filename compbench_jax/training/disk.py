"""A full disk, noticed before a checkpoint is begun or turned into one plain error afterwards."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OVERHEAD = 256 * 1024
"""Bytes of metadata and half-filled blocks that a checkpoint takes in addition to its arrays, generously."""


def refuse_full_disk(folder: Path, size: int) -> None:
    """Raise ``OSError`` (ENOSPC) where there is no room for a checkpoint of ``size`` bytes and what orbax adds to it.

    Tensorstore notices a full disk too, but prints a page of its own on the way (see :func:`disk_errors`).
    """
    if shutil.disk_usage(folder).free < size + size // 8 + OVERHEAD:
        raise OSError(errno.ENOSPC, "no space left on device", str(folder))


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what tensorstore raises on a full disk into an ``OSError`` (ENOSPC), and remove what is half written."""
    try:
        yield
    except Exception as error:
        for rest in folder.glob("*.orbax-checkpoint-tmp"):
            shutil.rmtree(rest, ignore_errors=True)
        text = str(error)
        if "No space left" in text or "os_error_code='28'" in text or getattr(error, "errno", None) == errno.ENOSPC:
            raise OSError(errno.ENOSPC, "no space left on device", str(folder)) from error
        raise
