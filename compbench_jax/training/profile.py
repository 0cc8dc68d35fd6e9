"""``--profile``: a trace of a few steps after warm-up, for Perfetto and TensorBoard."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

FOLDER = "profile"
WARM_UP, TRACED = 3, 5
"""Dispatches before the trace (the first compiles) and in it."""

TRACE = "perfetto_trace.json.gz"
"""Name of the file that https://ui.perfetto.dev opens."""


@contextlib.contextmanager
def tracing(folder: Path) -> Iterator[None]:
    """Trace what JAX does inside, on the host and its devices, into ``folder``."""
    # Every call of every Python function would drown the rest, and slow it down.
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    jax.profiler.start_trace(folder, create_perfetto_trace=True, profiler_options=options)
    try:
        yield
    finally:
        jax.profiler.stop_trace()


def traces(folder: Path) -> list[Path]:
    """The files for Perfetto in a profile folder, the latest last."""
    return sorted(folder.glob(f"plugins/profile/*/{TRACE}"))


def how_to_open(folder: Path) -> str:
    """What to tell the user about a trace."""
    found = traces(folder)
    if not found:
        return f"there were too few steps to trace after {WARM_UP} to warm up: raise --steps"
    return f"trace in {found[-1]}: open it at https://ui.perfetto.dev, or `tensorboard --logdir {folder}`"


class Profiler:
    """Traces a few dispatches of a training loop, those after the first ``WARM_UP``; a context, around the loop.

    Args:
        folder: of the trace; None: there is none.
        pause: told when what the profiler itself does began, so that it does not count as time of steps.
    """

    def __init__(self, folder: Path | None, pause: Callable[[float], None]):
        self.folder, self.pause = folder, pause
        self.count = 0
        self.stack = contextlib.ExitStack()

    def dispatch(self, state: Any, step: int) -> contextlib.AbstractContextManager[Any]:
        """Around the next dispatch: the state that the steps before it will leave, and their number."""
        if self.folder is None:
            return contextlib.nullcontext()
        if self.count in (WARM_UP, WARM_UP + TRACED):
            begun = time.monotonic()
            jax.block_until_ready(state)
            if self.count == WARM_UP:
                self.stack.enter_context(tracing(self.folder))
            else:
                self.stack.close()
            self.pause(begun)
        self.count += 1
        return jax.profiler.StepTraceAnnotation("train", step_num=step)

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()
