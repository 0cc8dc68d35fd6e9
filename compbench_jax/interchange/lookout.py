"""Libraries that a damaged file may bring down: a process of its own reads the file first."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.labels import LabelKeys

PROGRAM = "import sys; from compbench_jax.interchange.lookout import look; look(*sys.argv[1:])"


def refuse_fatal(path: Path, reader: str, keys: LabelKeys) -> None:
    """Read a file in another process; what ends that process would have ended this one.

    Errors that it reports are left for this process to find.

    Args:
        path: the file.
        reader: module of this package whose ``frames_in(path, keys)`` reads it.
        keys: what the user says of labels.

    Raises:
        DataError: the process was ended by a signal.
    """
    words = (reader, str(path), keys.energy or "", keys.forces or "")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if done.returncode < 0:
        raise DataError(f"{path} is damaged (signal {-done.returncode} while it was read): copy it again")


def look(reader: str, path: str, energy: str, forces: str) -> None:
    """Read a file to its end; errors that are reported end it quietly."""
    module = importlib.import_module(f"compbench_jax.interchange.{reader}")
    try:
        for _ in module.frames_in(Path(path), LabelKeys(energy or None, forces or None)):
            pass
    except CompBenchError:
        pass
