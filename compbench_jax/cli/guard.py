"""What every entry point does with errors: one line on the terminal and an exit code."""

import errno
import sys
from collections.abc import Callable

from compbench_jax.errors import CompBenchError


def guarded(function: Callable[[], None]) -> int:
    """Run ``function`` and return the exit code: 0; 2 for a user's error or a full disk; 130 for Ctrl-C."""
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
