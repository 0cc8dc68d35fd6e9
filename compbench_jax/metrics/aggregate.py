"""From per-frame sums to metrics: sums over any set of molecules, then one division (NumPy, float64)."""

import numpy as np

from compbench_jax.metrics.sums import ATOM_COLUMNS, COLUMNS, ENERGY_THRESHOLD
from compbench_jax.models.normalisation import fit_reference_energies

ENERGY_COLUMNS = (
    "abs_raw",
    "abs_raw_per_atom",
    "abs_referenced",
    "abs_referenced_per_atom",
    "abs_centred",
    "abs_centred_per_atom",
)
"""Absolute energy errors of a frame, eV and eV an atom, three ways that are never mixed."""

SUM_COLUMNS = COLUMNS + ENERGY_COLUMNS
"""Columns that :func:`metrics_from_sums` works on."""

LARGER_IS_BETTER = {"force_cosine": -1.0, "force_cosine_weighted": -1.0, "efwt": 0.0}
"""Metrics of which 1 is the best, and their smallest value; all others are errors."""


def referenced_errors(
    errors: np.ndarray, compositions: np.ndarray, fit_errors: np.ndarray, fit_compositions: np.ndarray
) -> np.ndarray:
    """Energy errors after taking out one energy an atom of each element, fitted to errors on training frames.

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
    """All metrics of sets of frames, NaN where one is not defined.

    Means are over atoms (of forces, also over components) or over frames, never over molecules or batches.
    Units: eV/Å for forces, eV a molecule for energies, meV an atom for the keys that end in ``_per_atom``.

    Args:
        sums: ``[..., len(SUM_COLUMNS)]``, summed over the frames of each set; leading dimensions (runs, say) are kept.
            A column of NaN, where the sums are of a version that did not have it, gives metrics of NaN.
    """
    column = {name: sums[..., index] for index, name in enumerate(SUM_COLUMNS)}
    frames = column["frames"]
    metrics = force_metrics(sums[..., : len(ATOM_COLUMNS)])
    for way in ("raw", "referenced", "centred"):
        metrics[f"energy_mae_{way}"] = _divide(column[f"abs_{way}"], frames)
        metrics[f"energy_mae_{way}_per_atom"] = 1000 * _divide(column[f"abs_{way}_per_atom"], frames)
    return metrics | {"efwt": _divide(column["within_threshold"], frames)}


def force_metrics(sums: np.ndarray) -> dict[str, np.ndarray]:
    """The force metrics alone, of any sets of atoms (one element, say), NaN where one is not defined.

    Args:
        sums: ``[..., len(ATOM_COLUMNS)]``.
    """
    column = {name: sums[..., index] for index, name in enumerate(ATOM_COLUMNS)}
    atoms = column["atoms"]
    return {
        "force_mae": _divide(column["abs_force"], 3 * atoms),
        "force_rmse": np.sqrt(_divide(column["squared_force"], 3 * atoms)),
        "force_l2": _divide(column["l2_force"], atoms),
        "force_cosine": _divide(column["cosine"], column["cosine_atoms"]),
        "force_cosine_weighted": _divide(column["weighted_cosine"], column["force_norm"]),
        "force_magnitude_mae": _divide(column["abs_magnitude"], atoms),
    }


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient in float64, NaN over zero."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)
