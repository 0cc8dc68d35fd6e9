"""JAX starts threads, which a forked process does not have: what computes there waits for them for ever."""

import os

from compbench_jax.errors import CompBenchError

_process: int | None = None
"""The process in which the first potential of ours was loaded."""


def refuse_fork() -> None:
    """Call before JAX computes.

    Raises:
        CompBenchError: this process was forked from one that had loaded a potential.
    """
    global _process
    if _process is None:
        _process = os.getpid()
    if _process != os.getpid():
        raise CompBenchError(
            "this process was forked from one in which JAX had started, and JAX computes in no such process: start "
            "processes with multiprocessing.get_context('spawn'), or load the first potential after the fork"
        )
