"""Predictions of a calculator on disk, written as they come, so that an interrupted evaluation goes on where it was.

``parts/`` holds files of some frames each, whole or absent; ``identity.json`` says what computed them: keywords,
versions, and checksums of the source and weight files, which are compared whenever an evaluation goes on. All stay when
it is complete: the same command then computes nothing again.
"""

import io
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.calculators.pool import Outcome
from compbench_jax.errors import DataError, RunError
from compbench_jax.files import read_json, save
from compbench_jax.store.frames import offsets_of
from compbench_jax.store.manifest import file_sha256
from compbench_jax.training.configuration import flatten

FORMAT = "compbench-calculator-predictions"
VERSION = 2
IDENTITY = "identity.json"
PARTS = "parts"
FRAMES_A_PART = 64
INSTALLED = {"site-packages", "dist-packages"}
SECONDS_A_PART = 10.0
"""A part is written after so many frames or seconds, whichever comes first."""

ARRAYS = ("frame", "energy", "length", "forces", "seconds", "reason")


class PredictionLog:
    """Outcomes of frames by their index in the store, kept in a folder.

    Args:
        folder: where they are kept.
        identity: everything that determines a prediction: calculator, keywords, data.
        retry: forget frames that failed, so that they are tried again.
        named: files that the keywords name.

    Raises:
        RunError: the folder holds predictions of something else, or of source or weight files that have changed since;
            or a file of it is damaged.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], retry: bool = False, named: Sequence[Path] = ()):
        self.folder, self.identity = folder, json.loads(json.dumps(identity))
        self._named = [str(path) for path in named]
        self.files: dict[str, str] | None = None
        self.outcomes: dict[int, Outcome] = {}
        self.environment: dict[str, Any] | None = None
        self._waiting: list[Outcome] = []
        self._last = time.monotonic()
        self._number = 0
        if any((folder / PARTS).glob("*.npz")):  # without predictions, the folder is nobody's yet
            self._read_identity()
            self._check_files()
            self._read_parts(retry)
        else:
            self._write_identity()

    def claim(self, ready: dict[str, Any]) -> None:
        """Note versions and files of a worker, or make sure that they are those of the frames already here.

        Raises:
            RunError: other versions or files computed the frames that are already here.
        """
        environment = {"python": ready.get("python"), **(ready.get("versions") or {})}
        if self.outcomes and self.environment is not None and self.environment != environment:
            differs = sorted(
                k for k in {*self.environment, *environment} if self.environment.get(k) != environment.get(k)
            )
            raise RunError(
                f"{self.folder} holds predictions made with other versions of {', '.join(differs)}: "
                "give another --out, or restore that environment"
            )
        self.environment = environment
        if self.files is None:
            names = [*ready.get("files", ()), *self._named]
            self.files = {name: digest for name in names if (digest := checksum(name))}
        else:
            self._check_files()
        self._write_identity()

    def file_names(self) -> dict[str, str]:
        """SHA-256 of the files that the calculator was made from, by their names without folders.

        Those of installed packages, of which the versions are known, are left out.
        """
        paths = {Path(name): digest for name, digest in sorted((self.files or {}).items())}
        return {path.name: digest for path, digest in paths.items() if INSTALLED.isdisjoint(path.parts)}

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome; it is on disk within ``SECONDS_A_PART`` of the next call, or after :meth:`flush`."""
        self.outcomes[outcome.frame] = outcome
        self._waiting.append(outcome)
        if len(self._waiting) >= FRAMES_A_PART or time.monotonic() - self._last >= SECONDS_A_PART:
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet."""
        if self._waiting:
            self._number += 1
            save(self.folder / PARTS / f"{self._number:06d}.npz", part_bytes(self._waiting))
            self._waiting = []
        self._last = time.monotonic()

    def follow(self, outcomes: Iterable[Outcome], progress: Callable[[int], Any]) -> None:
        """Keep outcomes as they come, and what has come even if the source raises."""
        try:
            for outcome in outcomes:
                self.add(outcome)
                progress(1)
        finally:
            self.flush()

    def _check_files(self) -> None:
        """Compare with what made the frames already here. A file that is gone is not used any more, or fails itself."""
        for name, digest in (self.files or {}).items():
            if checksum(name) not in ("", digest):
                raise RunError(
                    f"{name} has changed since {self.folder} was begun: give another --out, remove that folder, or "
                    "restore the file"
                )

    def _read_identity(self) -> None:
        path = self.folder / IDENTITY
        try:
            found = read_json(path)
            if (found["format"], found["version"]) != (FORMAT, VERSION):
                raise RunError(f"{path} is of another version: give another --out, or remove {self.folder}")
            identity, self.environment = found["identity"], found["environment"]
            self.files = None if found["files"] is None else {str(k): str(v) for k, v in found["files"].items()}
            if not isinstance(self.environment, dict | None):
                raise TypeError
        except (DataError, KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{path} is damaged ({type(error).__name__}): remove {self.folder} to compute it again"
            ) from error
        ours, theirs = flatten(self.identity), flatten(identity)
        differs = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        if differs:
            raise RunError(
                f"{self.folder} holds predictions with another {' and '.join(differs)}: "
                "give another --out, or remove that folder"
            )

    def _write_identity(self) -> None:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "identity": self.identity,
            "environment": self.environment,
            "files": self.files,
        }
        save(self.folder / IDENTITY, (json.dumps(content, indent=1) + "\n").encode())

    def _read_parts(self, retry: bool) -> None:
        files = sorted(path for path in (self.folder / PARTS).glob("*.npz") if re.fullmatch(r"\d+", path.stem))
        for path in files:
            for outcome in read_part(path):
                self.outcomes[outcome.frame] = outcome
            self._number = max(self._number, int(path.stem))
        if retry:
            self.outcomes = {frame: item for frame, item in self.outcomes.items() if not item.reason}


def checksum(name: str) -> str:
    """SHA-256 of a file; empty where there is none that can be read."""
    try:
        return file_sha256(Path(name))
    except OSError:
        return ""


def part_bytes(outcomes: list[Outcome]) -> bytes:
    """Outcomes as the bytes of an ``.npz`` file of plain arrays."""
    forces = [np.zeros((0, 3), np.float32) if item.forces is None else item.forces for item in outcomes]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        frame=np.array([item.frame for item in outcomes], np.int64),
        energy=np.array([item.energy for item in outcomes], np.float64),
        length=np.array([len(item) for item in forces], np.int64),
        forces=np.concatenate(forces).astype(np.float32),
        seconds=np.array([item.seconds for item in outcomes], np.float64),
        reason=np.array([item.reason for item in outcomes], np.str_),
    )
    return buffer.getvalue()


def read_part(path: Path) -> list[Outcome]:
    """Inverse of :func:`part_bytes`.

    Raises:
        RunError: the file is damaged.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise OSError
        with np.load(path, allow_pickle=False) as content:
            frame, energy, length, forces, seconds, reason = (content[name] for name in ARRAYS)
    except Exception as error:  # zipfile, zlib and NumPy each raise their own for a damaged file
        raise RunError(
            f"{path} is damaged ({type(error).__name__}): remove it, and its frames are computed again"
        ) from error
    starts = offsets_of(length)
    return [
        Outcome(
            int(frame[i]),
            float(energy[i]),
            None if reason[i] else forces[starts[i] : starts[i + 1]],
            float(seconds[i]),
            str(reason[i]),
        )
        for i in range(len(frame))
    ]


def write_failures(path: Path, outcomes: Iterable[Outcome], names: dict[int, str]) -> None:
    """A table of the frames that failed: frame, molecule and reason, tab-separated; removed where there is none."""
    rows = [f"{item.frame}\t{names[item.frame]}\t{item.reason}" for item in outcomes if item.reason]
    if rows:
        save(path, ("frame\tmolecule\treason\n" + "\n".join(rows) + "\n").encode())
    else:
        path.unlink(missing_ok=True)
