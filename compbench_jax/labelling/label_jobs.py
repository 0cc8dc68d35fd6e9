"""Labelling given geometries: a few frames a job, each job a shard named by what it contains."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax._version import __version__
from compbench_jax.files import write_atomically
from compbench_jax.labelling.levels import get_level
from compbench_jax.labelling.shards import DAMAGED, require_plain

LABEL_FORMAT = 1


@dataclass(frozen=True, eq=False)
class LabelJob:
    """Geometries of one molecule to label at one level, and the folder to leave the labels in.

    Attributes:
        folder: where the shard goes.
        level: name of the level.
        title: what an error message calls the molecule.
        numbers: Z, int32 ``[n_atoms]``.
        positions: Å, float32 ``[n_frames, n_atoms, 3]``.
    """

    folder: str
    level: str
    title: str
    numbers: np.ndarray
    positions: np.ndarray

    def __str__(self) -> str:
        """How messages name the job."""
        return f"{self.title}, {len(self.positions)} frames"

    @property
    def path(self) -> Path:
        """File of the shard; its name is a hash of everything that decides its content."""
        content = {"format": LABEL_FORMAT, "program": __version__, "level": get_level(self.level).describe()}
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        for array, dtype in ((self.numbers, np.int32), (self.positions, np.float32)):
            key.update(repr(array.shape).encode() + np.ascontiguousarray(array, dtype).tobytes())
        return Path(self.folder) / f"label-{key.hexdigest()[:24]}.npz"


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of a job's frames.

    Attributes:
        energy: eV, float64 ``[n_frames]``; NaN where the calculation failed.
        forces: eV/Å, float32 ``[n_frames, n_atoms, 3]``; NaN likewise.
        failures: why, by frame of the job.
    """

    energy: np.ndarray
    forces: np.ndarray
    failures: dict[int, str]


def make_labels(job: LabelJob) -> str:
    """Label the job's frames and write its shard; returns the path. Runs in a worker.

    A calculation that fails is recorded and the next one begins. Labels that the shard already has are kept; what
    failed in it is tried again.
    """
    from ase.calculators.calculator import CalculationFailed

    level = get_level(job.level)
    energy = np.full(len(job.positions), np.nan)
    forces = np.full(job.positions.shape, np.nan, np.float32)
    before = read_labels(job)
    if before is not None:
        energy[:], forces[:] = before.energy, before.forces
    failures: dict[int, str] = {}
    for k, frame in enumerate(job.positions):
        if np.isfinite(energy[k]) and np.isfinite(forces[k]).all():
            continue
        try:
            found, gradient = level.label(job.numbers, frame.astype(np.float64))
            if not (np.isfinite(found) and np.isfinite(gradient).all()):
                raise CalculationFailed("the result is not finite")
            energy[k], forces[k] = found, gradient
        except CalculationFailed as error:
            failures[k] = (str(error) or type(error).__name__).splitlines()[0]
    buffer = io.BytesIO()
    why = np.frombuffer(json.dumps(sorted(failures.items())).encode(), np.uint8)
    np.savez(buffer, energy=energy, forces=forces, failures=why)
    write_atomically(job.path, buffer.getvalue())
    return str(job.path)


def read_labels(job: LabelJob) -> Labels | None:
    """The job's labels, or None if its shard is absent or not whole (it is then made again)."""
    try:
        require_plain(job.path)
        with np.load(job.path, allow_pickle=False) as file:
            energy, forces, why = file["energy"], file["forces"], file["failures"]
        failures = {int(k): str(reason) for k, reason in json.loads(why.tobytes())}
    except DAMAGED:
        return None
    whole = energy.shape == (len(job.positions),) and forces.shape == job.positions.shape
    labelled = np.ones(len(job.positions), bool)
    if not whole or not set(failures) <= set(range(len(labelled))):
        return None
    labelled[list(failures)] = False
    finite = np.isfinite(energy) & np.isfinite(forces).all(axis=(1, 2))
    return Labels(energy, forces, failures) if finite[labelled].all() else None
