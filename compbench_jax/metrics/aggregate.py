"""Per-frame sums completed by energy errors, and added up over molecules (NumPy, float64)."""

import numpy as np

from compbench_jax.metrics.definitions import METRICS, metrics_of
from compbench_jax.metrics.sums import COLUMNS, ENERGY_THRESHOLD
from compbench_jax.models.normalisation import fit_reference_energies

ENERGY_COLUMNS = (
    "abs_raw",
    "abs_raw_per_atom",
    "abs_referenced",
    "abs_referenced_per_atom",
    "abs_centred",
    "abs_centred_per_atom",
)
"""Absolute energy errors of a frame, eV and eV per atom, three ways that are never mixed."""

SUM_COLUMNS = COLUMNS + ENERGY_COLUMNS
"""Columns that :func:`metrics_from_sums` works on."""

SCORES = {metric.name: metric.smallest for metric in METRICS.values() if metric.smallest is not None}
"""Metrics whose best value is 1, and their worst value; all others are errors."""


def referenced_errors(
    errors: np.ndarray, compositions: np.ndarray, fit_errors: np.ndarray, fit_compositions: np.ndarray
) -> np.ndarray:
    """Energy errors after taking out one energy per atom of each element, fitted to errors on training frames.

    The fit is least squares with the solution of smallest norm, so that an element absent from the training
    frames is left as it is.

    Args:
        errors: Ê − E, eV ``[n_frames]``.
        compositions: atoms of each element, ``[n_frames, n_elements]``.
        fit_errors: Ê − E on frames of training molecules, eV ``[n_fit]``.
        fit_compositions: ``[n_fit, n_elements]``.

    Returns:
        eV, float64 ``[n_frames]``.
    """
    offsets = fit_reference_energies(fit_compositions, fit_errors)
    return np.asarray(errors, np.float64) - np.asarray(compositions, np.float64) @ offsets


def centred_errors(errors: np.ndarray, molecule: np.ndarray) -> np.ndarray:
    """Energy errors after taking out each molecule's own mean: errors of conformational energies.

    Args:
        errors: Ê − E, eV ``[n_frames]``.
        molecule: molecule of each frame, ``[n_frames]``.

    Returns:
        eV, float64 ``[n_frames]``; zero for the only frame of a molecule.
    """
    errors = np.asarray(errors, np.float64)
    _, index = np.unique(molecule, return_inverse=True)
    mean = np.bincount(index, weights=errors) / np.maximum(np.bincount(index), 1)
    return errors - mean[index]


def complete_table(table: np.ndarray, referenced: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """Append the energy errors to the per-frame sums, and hold ``within_threshold`` to the referenced energies.

    Raw energies are another zero of energy for every calculator, so the threshold is for referenced ones, of runs as
    well.

    Args:
        table: ``[n_frames, len(COLUMNS)]`` from the device.
        referenced: errors from :func:`referenced_errors`, eV ``[n_frames]``.
        centred: errors from :func:`centred_errors`, eV ``[n_frames]``.

    Returns:
        float64 ``[n_frames, len(SUM_COLUMNS)]``.
    """
    table = np.array(table, np.float64)
    if not (table[:, COLUMNS.index("frames")] == 1).all():
        raise ValueError("some frames have no sums: evaluate every frame of the set before taking metrics")
    table[:, COLUMNS.index("within_threshold")] *= np.abs(referenced) < ENERGY_THRESHOLD
    n_atoms = table[:, COLUMNS.index("atoms")]
    columns = []
    for errors in (table[:, COLUMNS.index("energy_error")], referenced, centred):
        columns += [np.abs(errors), np.abs(errors) / n_atoms]
    return np.concatenate([table, np.stack(columns, axis=1)], axis=1)


def molecule_sums(table: np.ndarray, molecule: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the rows of each molecule.

    Args:
        table: ``[n_frames, n_columns]``.
        molecule: molecule of each frame, ``[n_frames]``.

    Returns:
        The molecules that occur, ascending ``[n_molecules]``, and their sums, float64
        ``[n_molecules, n_columns]``.
    """
    molecules, index = np.unique(molecule, return_inverse=True)
    sums = np.zeros((len(molecules), table.shape[1]))
    np.add.at(sums, index, np.asarray(table, np.float64))
    return molecules, sums


def metrics_from_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of sums ``[..., len(SUM_COLUMNS)]``; see :func:`compbench_jax.metrics.definitions.metrics_of`."""
    return metrics_of(sums, SUM_COLUMNS)
