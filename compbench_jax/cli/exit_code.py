"""What every entry point does with errors: one line on the terminal and an exit code."""

import errno
import io
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from compbench_jax.errors import CompBenchError
from compbench_jax.runtime import PARENT

READER_GONE = 1
"""Python's own exit code, and rich's, where what reads the output has left."""


def exit_code_of(function: Callable[[], None]) -> int:
    """Run ``function`` and return the exit code.

    0; 2 for a user's error, a file that the system refuses, or a full disk; 130 for Ctrl-C; 1, without a word, where
    what reads the output has left, as in ``compbench models | head -1``. A pipe that broke elsewhere (to a worker, say)
    is an error and raised. What a terminal's encoding lacks is written as an escape.
    """
    end_with_parent()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
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
        if isinstance(error, BrokenPipeError) or error.errno is None:
            raise
        name = f"{error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" at {name}" if name else ""
            problem = f"the disk is full{where}: free some space and run the same command to go on"
        else:
            problem = f"{name or 'the system'}: {error.strerror}: check what is there, its permissions and the limits"
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except (RuntimeError, AssertionError):
        if not platform_is_missing():
            raise
        names = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")
        asked = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
        print(
            f"error: JAX has no such device here ({', '.join(asked) or 'JAX_PLATFORMS is not set'}): set "
            "JAX_PLATFORMS=cpu, or install JAX for the device",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def platform_is_missing() -> bool:
    """Whether JAX, once it is imported, finds no device: the platform that was asked for is absent or misspelt."""
    find = getattr(sys.modules.get("jax"), "devices", None)
    if find is None:
        return False
    try:
        find()
    except (RuntimeError, AssertionError):
        return True
    return False


def end_with_parent() -> None:
    """Stop, as at SIGTERM, once the process that :data:`PARENT` names has ended, however it ended."""
    parent = os.environ.pop(PARENT, None)
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
