"""What the labels' level says: trajectories, minima with Hessians, points of scans; workers compute it, once.

A result is one ``.npz`` in a folder that may be shared by all runs: its name is a hash of everything that decides what
is in it, so that another potential on the same molecules finds it there. A calculation that failed leaves none: the
next command tries it again.
"""

import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_masses

from compbench_jax._version import __version__
from compbench_jax.dynamics.minimise import BFGS, largest_force
from compbench_jax.dynamics.trajectory import (
    SAVE_SECONDS,
    Trajectory,
    damaged,
    read_arrays,
    read_trajectory,
    trajectory_of,
)
from compbench_jax.dynamics.vibrations import IMAGINARY, frequencies
from compbench_jax.errors import CompBenchError
from compbench_jax.files import write_atomically
from compbench_jax.labelling.levels import Level, get_level

FORMAT = 1
CONVERGED = 0.005
"""eV/Å; the largest force at a minimum."""

MOST_STEPS = 600
DISPLACEMENT = 0.01
"""Å; of the central differences that a Hessian is made of."""


@dataclass(frozen=True, eq=False)
class ReferenceJob:
    """One calculation.

    Attributes:
        folder: where the result goes.
        level: name of the level.
        title: what an error message calls it.
        kind: ``"trajectory"``, ``"minimum"`` or ``"points"``.
        numbers: Z, int32 ``[n_atoms]``.
        positions: Å, float64 ``[n_atoms, 3]``; of points ``[n_points, n_atoms, 3]``.
        settings: ``trajectory``: ``time_step`` (ASE units), ``stride``, ``records``; ``minimum``: ``hessian``.
        velocities: ASE units, ``[n_atoms, 3]``, of a trajectory.
        masses: u, ``[n_atoms]``, of a trajectory.
    """

    folder: str
    level: str
    title: str
    kind: str
    numbers: np.ndarray
    positions: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    velocities: np.ndarray | None = None
    masses: np.ndarray | None = None

    def __str__(self) -> str:
        """How messages name the job."""
        return f"{self.kind} of {self.title}"

    @cached_property
    def path(self) -> Path:
        """File of the result."""
        content = {
            "format": FORMAT,
            "program": __version__,
            "level": _described(self.level),
            "kind": self.kind,
            "settings": self.settings,
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        for array in (self.numbers, self.positions, self.velocities, self.masses):
            if array is not None:
                key.update(repr(array.shape).encode() + np.ascontiguousarray(array, np.float64).tobytes())
        return Path(self.folder) / f"{self.kind}-{key.hexdigest()[:24]}.npz"


@cache
def _described(level: str) -> dict[str, Any]:
    """The level in words. Once a process: to find the versions of packages takes a second."""
    return get_level(level).describe()


def read_reference(job: ReferenceJob) -> dict[str, np.ndarray] | None:
    """The job's arrays, or None if it has to be done (again).

    Raises:
        DataError: the file is damaged.
    """
    arrays = read_arrays(job.path)
    if arrays is None:
        return None
    # Earlier versions kept here why a calculation failed.
    if arrays.pop("failure", np.zeros(0)).size:
        return None
    n_atoms = len(job.numbers)
    if job.kind == "trajectory":
        if set(arrays) != set(Trajectory.__dataclass_fields__):
            raise damaged(job.path)
        return vars(trajectory_of(arrays, job.path, n_atoms, 1))
    shapes: dict[str, tuple[int, ...]] = {"energy": (len(job.positions),), "forces": job.positions.shape}
    if job.kind == "minimum":
        shapes = {"positions": (n_atoms, 3), "force": ()}
        shapes |= {"hessian": (3 * n_atoms, 3 * n_atoms)} if job.settings.get("hessian") else {}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise damaged(job.path)
    return None if job.kind == "minimum" and why_no_minimum(job, arrays) else arrays


def complete(job: ReferenceJob) -> bool:
    """Whether nothing is left to do: points at which the level failed are tried again.

    Raises:
        DataError: the file is damaged.
    """
    arrays = read_reference(job)
    return arrays is not None and (job.kind != "points" or bool(np.isfinite(arrays["energy"]).all()))


def why_no_minimum(job: ReferenceJob, found: Mapping[str, np.ndarray]) -> str:
    """Why a geometry is no minimum; empty if it is one.

    Args:
        job: of kind ``"minimum"``.
        found: its ``positions``, the largest ``force`` there, and the ``hessian`` if one was asked for.
    """
    if not all(np.isfinite(array).all() for array in found.values()):
        return "not finite at the end of the search"
    # Twice: the search may use looser thresholds than the labels.
    if found["force"] > 2.0 * CONVERGED:
        return f"not converged, the largest force is {float(found['force']):.3f} eV/Å"
    if "hessian" in found:
        lowest = frequencies(found["hessian"], atomic_masses[job.numbers], found["positions"]).min(initial=0.0)
        if lowest < -IMAGINARY:
            return f"a saddle point, the lowest wave number is {-lowest:.0f}i cm⁻¹"
    return ""


def make_reference(job: ReferenceJob) -> str:
    """Do the job and write its file; returns why it failed, or nothing. Runs in a worker."""
    level = get_level(job.level)
    work = {"trajectory": _trajectory, "minimum": _minimum, "points": _points}[job.kind]
    try:
        arrays = work(job, level)
    except (CompBenchError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever a calculator of anybody's raises; another molecule may succeed
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if job.kind == "minimum" and (reason := why_no_minimum(job, arrays)):
        return f"no minimum of the reference: {reason}"
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    job.path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(job.path, buffer.getvalue())
    job.path.with_suffix(".part").unlink(missing_ok=True)
    return ""


def _trajectory(job: ReferenceJob, level: Level) -> dict[str, np.ndarray]:
    """Velocity Verlet as :func:`compbench_jax.dynamics.verlet.integrate` does it, in float64."""
    from ase import Atoms

    assert job.velocities is not None and job.masses is not None
    part, n_atoms = job.path.with_suffix(".part"), len(job.numbers)
    mass, step = job.masses[:, None], job.settings["time_step"]

    def kinetic(velocity: np.ndarray) -> float:
        return float(0.5 * (mass * velocity**2).sum())

    done = read_trajectory(part, n_atoms, 1)
    atoms = Atoms(job.numbers, job.positions if done is None else done.state[0], calculator=level.calculator())
    velocity = job.velocities if done is None else done.state[1]
    acceleration = atoms.get_forces() / mass
    energies: list[tuple[float, float]] = []
    frames: list[np.ndarray] = []

    def record() -> None:
        frames.append(atoms.positions.astype(np.float32))
        energies.append((float(atoms.get_potential_energy()), kinetic(velocity)))

    def collected() -> Trajectory:
        columns = np.array(energies).reshape(-1, 2)
        state = np.stack([atoms.positions, velocity])
        found = Trajectory(np.array(frames).reshape(-1, n_atoms, 3), columns[:, :1], columns[:, 1:], state)
        frames.clear()
        energies.clear()
        return found if done is None else done.extended(found)

    if done is None:
        record()
    saved = time.monotonic()
    for _ in range(job.settings["records"] + 1 - (1 if done is None else len(done.potential))):
        for _ in range(job.settings["stride"]):
            velocity = velocity + 0.5 * step * acceleration
            atoms.positions += step * velocity
            acceleration = atoms.get_forces() / mass
            velocity = velocity + 0.5 * step * acceleration
        record()
        if time.monotonic() - saved > SAVE_SECONDS:
            done = collected()
            done.save(part)
            saved = time.monotonic()
    return vars(collected())


def _minimum(job: ReferenceJob, level: Level) -> dict[str, np.ndarray]:
    """``positions`` of the minimum, ``force`` (the largest there), and if asked for its ``hessian``, symmetric."""
    from ase import Atoms

    atoms = Atoms(job.numbers, job.positions, calculator=level.calculator())
    search = BFGS(len(job.numbers))
    for _ in range(MOST_STEPS):
        forces = atoms.get_forces()
        if largest_force(forces) < CONVERGED:
            break
        atoms.positions = search.step(atoms.positions, forces)
    positions = np.array(atoms.positions)
    _, forces = level.label(job.numbers, positions)
    found = {"positions": positions, "force": np.array(largest_force(forces))}
    if job.settings.get("hessian"):
        rows = []
        for coordinate in range(positions.size):
            pair = []
            for sign in (1.0, -1.0):
                moved = positions.copy()
                moved.flat[coordinate] += sign * DISPLACEMENT
                pair.append(level.label(job.numbers, moved)[1].ravel())
            rows.append((pair[1] - pair[0]) / (2.0 * DISPLACEMENT))
        hessian = np.array(rows)
        found["hessian"] = 0.5 * (hessian + hessian.T)
    return found


def _points(job: ReferenceJob, level: Level) -> dict[str, np.ndarray]:
    """``energy``, eV ``[n_points]``, and ``forces``, eV/Å ``[n_points, n_atoms, 3]``; NaN where the level failed."""
    from ase.calculators.calculator import CalculationFailed

    known = read_reference(job)
    if known is None:
        known = {"energy": np.full(len(job.positions), np.nan), "forces": np.full(job.positions.shape, np.nan)}
    energy, forces = known["energy"], known["forces"]
    reason: Exception | None = None
    for k in np.flatnonzero(~np.isfinite(energy)):
        try:
            energy[k], forces[k] = level.label(job.numbers, job.positions[k])
        except CalculationFailed as error:  # atoms on top of each other, say
            reason = error
    if reason is not None and np.isnan(energy).all():
        raise reason
    return {"energy": energy, "forces": forces}
