"""Progress of a list of jobs: a bar on a terminal, a line now and then in a log."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class JobProgress:
    """Jobs done and in all; handed to what does them."""

    def __init__(self, console: Console, unit: str, bar: Progress):
        self.done = self.total = 0
        self._console, self._unit, self._bar = console, unit, bar
        self._task = bar.add_task(unit)

    def start(self, done: int, total: int) -> None:
        """Say how many jobs there are, and how many an earlier run left done."""
        self.done, self.total = done, total
        self._bar.update(self._task, completed=done, total=total)
        self._console.print(f"{total} {self._unit}" + (f", {done} already done" if done else ""))

    def advance(self) -> None:
        """One job more is done."""
        self.done += 1
        self._bar.advance(self._task)
        if not self._console.is_terminal and self.done % max(1, self.total // 20) == 0:
            self._console.print(f"{self._unit} {self.done}/{self.total}")


@contextmanager
def job_progress(console: Console, unit: str) -> Iterator[JobProgress]:
    """A progress bar for jobs called ``unit`` (plural)."""
    columns = (
        TextColumn(unit),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield JobProgress(console, unit, bar)
