"""The log of a run: JSON, one object a line, each flushed as it is written.

Every line has ``event`` and ``step``. Events are ``start`` (also at each resume), ``train`` (means over the steps since
the line before), ``validation``, and ``nonfinite`` (a step that was skipped, or that stopped the run: ``action``). In
runs of several members each of them has its own lines, with its number in ``member``. ``host_fraction`` is the share of
the time in which the device had nothing to do, at most; ``processor_fraction`` is the share of its cores that the
process really had: below what it has on an idle machine if others take them. Energies are in eV, forces in eV/Å, times
in s.
"""

import json
import math
from pathlib import Path
from typing import Any

from compbench_jax.files import write_atomically

FILE = "log.jsonl"


class RunLog:
    """Writes the log of one run; made by :func:`open_log`."""

    def __init__(self, path: Path):
        self.path = path
        self.handle = path.open("a", encoding="utf-8")

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append one line; numbers that are not finite become null, which strict JSON can hold."""
        line = {"event": event, "step": step, **{key: _plain(value) for key, value in values.items()}}
        self.handle.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        self.handle.flush()

    def close(self) -> None:
        """Close the file."""
        self.handle.close()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def open_log(path: Path, step: int) -> tuple[RunLog, float]:
    """Open a log to go on after ``step``: lines of later steps, which will be written again, are taken out.

    Returns:
        the log, and the seconds of training that it tells of so far.
    """
    kept = [line for line in read_log(path) if line["step"] <= step]
    if path.exists():
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in kept)
        write_atomically(path, text.encode())
    return RunLog(path), max((float(line.get("seconds") or 0.0) for line in kept), default=0.0)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of a log, in order; one that a kill or a full disk left incomplete is passed over. Empty without a file."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int) and "event" in line:
            lines.append(line)
    return lines
