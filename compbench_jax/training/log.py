"""The log of a run: JSON, one object per line, each flushed as it is written.

Every line has ``event`` and ``step``. Events are ``start`` (also at each resume), ``train`` (means over the steps since
the line before), ``validation``, and ``nonfinite`` (a step that was skipped, or that stopped the run: ``action``). In
runs of several members each of them has its own lines, with its number in ``member``. ``host_fraction`` is the share of
the time in which the device had nothing to do, at most; ``processor_fraction`` is the share of its cores that the
process really had: below what it has on an idle machine if others take them. Energies are in eV, forces in eV/Å, times
in s.
"""

import functools
import json
import math
import sys
from pathlib import Path
from typing import Any

from compbench_jax.files import parse_json, read_bytes, write_atomically
from compbench_jax.training.boards import Told

FILE = "log.jsonl"
MOST_BYTES = 1 << 30


class RunLog:
    """Writes the log of one run, and tells boards of every line; made by :func:`open_log`."""

    def __init__(self, path: Path, told: Told | None = None):
        self.path, self.told = path, told or Told({})
        self.handle = path.open("a", encoding="utf-8")

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append one line; numbers that are not finite become null, which strict JSON can hold."""
        line = {"event": event, "step": step, **{key: _plain(value) for key, value in values.items()}}
        self.handle.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self.handle.flush()
        self.told.write(line)

    def close(self) -> None:
        """Close the file and the boards."""
        self.handle.close()
        self.told.close()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def open_log(path: Path, step: int, told: Told | None = None) -> tuple[RunLog, float]:
    """Open a log to go on after ``step``: lines of later steps, which will be written again, are taken out.

    Returns:
        the log, and the seconds of training that it tells of so far.
    """
    kept = [line for line in read_log(path) if line["step"] <= step]
    if path.exists():
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in kept)
        write_atomically(path, text.encode())
    return RunLog(path, told), max((float(line.get("seconds") or 0.0) for line in kept), default=0.0)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of a log, in order. Empty without a file.

    Damaged ones are left out, as a line on the terminal says; but for a last one without its end, which a kill may have
    cut.

    Raises:
        DataError: the file cannot be read.
    """
    *whole, cut = (read_bytes(path, MOST_BYTES) if path.exists() else b"").split(b"\n")
    found = [_line(text) for text in whole]
    damaged = [number for number, line in enumerate(found, 1) if line is None]
    if damaged:
        _say(f"warning: {path} has damaged lines, left out: {', '.join(map(str, damaged[:5]))}")
    return [line for line in (*found, _line(cut)) if line is not None]


@functools.cache
def _say(line: str) -> None:
    """Once a process, however often the log is read."""
    print(line, file=sys.stderr)


def _line(text: bytes) -> dict[str, Any] | None:
    """A line of the log, None if it is damaged: all values but texts and flags of the lines read back are numbers."""
    try:
        line = parse_json(text.decode())
    except ValueError:
        return None
    whole = isinstance(line, dict) and type(line.get("step")) is int and isinstance(line.get("event"), str)
    return line if whole and isinstance(line.get("seconds") or 0, int | float) else None
