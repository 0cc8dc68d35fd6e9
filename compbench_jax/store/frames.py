"""Frames in memory: a ragged set of labelled geometries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class Frames:
    """Labelled geometries of molecules of several sizes, concatenated along the atoms.

    Frame ``i`` owns the atoms ``offsets[i]:offsets[i + 1]``.

    Attributes:
        numbers: atomic numbers Z, int32 ``[n_atoms]``.
        positions: Å, float32 ``[n_atoms, 3]``.
        forces: F = −∇E in eV/Å, float32 ``[n_atoms, 3]``.
        energy: total energy of the level of theory in eV, float64 ``[n_frames]``.
        molecule: index into the molecules of the store, int32 ``[n_frames]``.
        offsets: int64 ``[n_frames + 1]``.
    """

    numbers: np.ndarray
    positions: np.ndarray
    forces: np.ndarray
    energy: np.ndarray
    molecule: np.ndarray
    offsets: np.ndarray

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.energy)

    @property
    def n_atoms(self) -> np.ndarray:
        """Atoms of each frame, int64 ``[n_frames]``."""
        return np.diff(self.offsets)


def unlabelled(
    numbers: ArrayLike, positions: np.ndarray, sizes: ArrayLike, molecule: np.ndarray | None = None
) -> Frames:
    """Geometries without labels: energies and forces are zero.

    Args:
        numbers: of the atoms of all, ``[n_atoms]``.
        positions: Å, ``[n_atoms, 3]``.
        sizes: atoms of each, ``[n_frames]``.
        molecule: of each, ``[n_frames]``; by default each is of its own.
    """
    n_frames = np.size(sizes)
    owner = np.arange(n_frames, dtype=np.int32) if molecule is None else molecule
    forces = np.zeros(positions.shape, np.float32)
    return Frames(np.asarray(numbers, np.int32), positions, forces, np.zeros(n_frames), owner, offsets_of(sizes))


def ragged_indices(starts: ArrayLike, lengths: ArrayLike) -> np.ndarray:
    """Indices of several runs ``start, start + 1, …`` one after the other, int64 ``[sum(lengths)]``."""
    starts, lengths = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)


def offsets_of(lengths: ArrayLike) -> np.ndarray:
    """Offsets of consecutive runs of the given lengths, int64 ``[n + 1]``."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))])
