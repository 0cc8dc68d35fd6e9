"""What every entry point does with errors: one line on the terminal and an exit code."""

import errno
import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

from compbench_jax.errors import CompBenchError

READER_GONE = 1
"""Python's own exit code, and rich's, where what reads the output has left."""


def guarded(function: Callable[[], None]) -> int:
    """Run ``function`` and return the exit code.

    0; 2 for a user's error or a full disk; 130 for Ctrl-C; 1, without a word, where what reads the output has left,
    as in ``compbench models | head -1``. A pipe that broke elsewhere (to a worker, say) is an error and raised.
    """
    try:
        try:
            return attempt(function)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if reader_left(stream)]
        if not unread:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:  # what was not read goes nowhere, or Python would complain of it at its exit
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        return READER_GONE


def reader_left(stream: TextIO) -> bool:
    """Whether ``stream`` is a pipe that nobody reads any more."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # not a file, or closed
        return False
    polled = select.poll()
    polled.register(number, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in polled.poll(0))


def attempt(function: Callable[[], None]) -> int:
    """Run ``function``, with its errors as one line on the terminal, and return the exit code."""
    try:
        function()
    except CompBenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" at {error.filename}" if error.filename else ""
        print(
            f"error: the disk is full{where}: free some space and run the same command to go on",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
