"""Interruption: after Ctrl-C or a termination signal the step is finished and a checkpoint is written."""

import signal
import sys
from types import FrameType, TracebackType
from typing import Any

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interruption:
    """Context in which SIGINT and SIGTERM only set ``signal``; a second one of either stops at once, as usual.

    One that the process was started to ignore (a shell's background job, say) stays ignored. Signal handlers belong to
    the main thread: elsewhere (a notebook's worker, say) nothing is changed.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        try:
            for number in NAMES:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.previous[number] = signal.signal(number, self._note)
        except ValueError:
            self._restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()
        name = NAMES[signal.Signals(number)]
        print(f"\n{name}: finishing the step, then saving (again: stop at once)", file=sys.stderr)

    def _restore(self) -> None:
        while self.previous:
            number, handler = self.previous.popitem()
            signal.signal(number, handler)
