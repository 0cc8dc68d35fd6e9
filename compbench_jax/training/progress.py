"""What a training run shows on the terminal: a bar there, a plain line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 15.0
"""Least time between plain lines."""


class Display:
    """Shows a run on standard error; a context for the time in which steps are taken.

    Args:
        console: where to; by default standard error.
        quiet: show nothing; another process does.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False):
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self.bar: Progress | None = None
        self.total = 0
        self.validation = ""
        self.last_plain = -PLAIN_SECONDS

    def say(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        (self.bar.console if self.bar else self.console).print(text, markup=False)

    def start(self, step: int, total: int) -> None:
        """Begin to show steps."""
        self.total = total
        if self.console.is_terminal:
            columns = (
                TextColumn("step"),
                BarColumn(None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[text]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=self.console, expand=True)
            self.bar.add_task("step", total=total, completed=step, text="compiling")
            self.bar.start()

    def show(self, step: int, loss: float, rate: float) -> None:
        """Show where training stands: mean loss since the last report, and structures per second."""
        text = f"loss {loss:.3g}{self.validation}, {rate:.0f} structures/s"
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=step, text=text)
        elif time.monotonic() - self.last_plain >= PLAIN_SECONDS or step == self.total:
            self.last_plain = time.monotonic()
            self.console.print(f"step {step}/{self.total}: {text}", markup=False)

    def validated(self, force_mae: float) -> None:
        """Note the latest validation force MAE (eV/Å), which later reports repeat."""
        self.validation = f", validation forces {force_mae:.4f} eV/Å"

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None
