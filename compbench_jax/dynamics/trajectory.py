"""A trajectory in memory and in a file. No JAX here: the workers of the reference need none."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax.files import write_atomically

SAVE_SECONDS = 15.0
"""Seconds between two savings of an unfinished trajectory."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Records of a batch of molecules, the first at time zero, and the state after the last.

    Attributes:
        positions: Å, float32 ``[n_records, n_atoms, 3]``.
        potential: eV, float64 ``[n_records, n_molecules]``, from the potential's own zero.
        kinetic: eV, likewise.
        state: positions and velocities (ASE units) to go on from, float64 ``[2, n_atoms, 3]``.
    """

    positions: np.ndarray
    potential: np.ndarray
    kinetic: np.ndarray
    state: np.ndarray

    def extended(self, other: "Trajectory") -> "Trajectory":
        """It with the records and the state of another after it."""
        return Trajectory(
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.potential, other.potential]),
            np.concatenate([self.kinetic, other.kinetic]),
            other.state,
        )

    def save(self, path: Path) -> None:
        """Write an ``.npz``, whole or not at all."""
        buffer = io.BytesIO()
        np.savez(buffer, **vars(self))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())


def read_trajectory(path: Path, n_atoms: int, n_molecules: int) -> Trajectory | None:
    """A saved trajectory, or None if there is none or the file is damaged or of something else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = Trajectory(**{name: file[name] for name in ("positions", "potential", "kinetic", "state")})
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
        return None
    n_records = len(found.potential)
    shapes = (
        found.positions.shape == (n_records, n_atoms, 3)
        and found.potential.shape == found.kinetic.shape == (n_records, n_molecules)
        and found.state.shape == (2, n_atoms, 3)
    )
    return found if shapes and n_records else None
