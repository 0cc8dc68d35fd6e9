"""A trajectory in memory and in a file. No JAX here: the workers of the reference need none."""

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax.errors import DataError
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
    """A saved trajectory, or None if there is none.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    arrays = read_arrays(path, Trajectory.__dataclass_fields__)
    return None if arrays is None else trajectory_of(arrays, path, n_atoms, n_molecules)


def trajectory_of(arrays: dict[str, np.ndarray], path: Path, n_atoms: int, n_molecules: int) -> Trajectory:
    """Trajectory of the arrays of a file.

    Raises:
        DataError: they are not those of a trajectory of these molecules; names the file.
    """
    found = Trajectory(**arrays)
    n_records = len(found.potential) if found.potential.ndim else 0
    shapes = {
        "positions": (n_records, n_atoms, 3),
        "potential": (n_records, n_molecules),
        "kinetic": (n_records, n_molecules),
        "state": (2, n_atoms, 3),
    }
    if not n_records or any(arrays[name].shape != shape for name, shape in shapes.items()):
        raise damaged(path)
    return found


def read_arrays(path: Path, names: Collection[str] = ()) -> dict[str, np.ndarray] | None:
    """Arrays of an ``.npz``, or None if there is no such file.

    Args:
        path: the file.
        names: the arrays wanted, each of real numbers; none: all there are.

    Raises:
        DataError: the file is damaged, or an array is missing.
    """
    if not path.exists():
        return None
    if not path.is_file():
        raise damaged(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in names or file.files}
    except Exception as error:  # of zipfile, zlib, struct, tokenize: whatever the damage leads to
        raise damaged(path) from error
    if any(array.dtype.kind not in "fiu" for array in found.values()):
        raise damaged(path)
    return found


def damaged(path: Path) -> DataError:
    """What is said of a file that cannot be used."""
    return DataError(f"{path} is damaged: remove it, what it held is computed again")
