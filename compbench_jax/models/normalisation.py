"""Constants of a potential, fitted on its training frames and on nothing else."""

import numpy as np

from compbench_jax.batching.dataset import compositions
from compbench_jax.errors import DataError
from compbench_jax.models.potential import Normalisation
from compbench_jax.store.frames import Frames


def fit_normalisation(frames: Frames, average_neighbours: float) -> Normalisation:
    """Fit reference energies and scales on training frames.

    Args:
        frames: the training frames.
        average_neighbours: directed edges per atom within the cutoff, n_edge / n_atoms of the same frames.

    Raises:
        DataError: there are no frames, a number is not finite, or all forces vanish.
    """
    if frames.n_frames == 0:
        raise DataError("no training frames to fit the normalisation on: choose a task whose training set is not empty")
    for key in ("energy", "forces"):
        if not np.isfinite(getattr(frames, key)).all():
            raise DataError(
                f"a training frame has a {key} that is not finite: check the data set with `compbench verify`"
            )
    scale = float(np.sqrt(np.mean(np.square(frames.forces, dtype=np.float64))))
    if scale == 0.0:
        raise DataError("all training forces are zero, which sets no scale: check the labels of the data set")
    elements = np.unique(frames.numbers).tolist()
    counts = compositions(frames, elements)
    return Normalisation(
        elements=tuple(elements),
        reference_energies=tuple(float(e) for e in fit_reference_energies(counts, frames.energy)),
        scale=scale,
        average_neighbours=float(average_neighbours),
    )


def fit_reference_energies(counts: np.ndarray, energies: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
    """Energies of an atom of each element by least squares, eV, float64 ``[n_elements]``.

    The solution of smallest norm is taken, so that compositions which do not determine the energies (a single
    molecule, say) still give finite ones that reproduce the totals.

    Args:
        counts: atoms of each element in each frame, ``[n_frames, n_elements]``.
        energies: total energies, eV ``[n_frames]``.
        frames: how many frames each row stands for, with their mean energy; None: one.
    """
    # Frames of one composition enter through their mean, weighted by their number: the same solution, and the
    # matrix has as many rows as there are compositions, not frames.
    unique, index = np.unique(counts, axis=0, return_inverse=True)
    energies, frames = np.asarray(energies, np.float64), np.ones(len(counts)) if frames is None else frames
    weight = np.bincount(index.ravel(), weights=frames, minlength=len(unique))
    mean = np.bincount(index.ravel(), weights=frames * energies, minlength=len(unique)) / weight
    root = np.sqrt(weight)
    solution, *_ = np.linalg.lstsq(unique * root[:, None], mean * root, rcond=None)
    return solution
