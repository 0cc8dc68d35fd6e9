"""Normal modes of an isolated molecule from its Hessian (Wilson, Decius, Cross, Molecular Vibrations, 1955)."""

import numpy as np
from ase import units

from compbench_jax.errors import DataError

PER_CM = units._hbar * 1e10 / np.sqrt(units._e * units._amu) / units.invcm
"""Wave number, cm⁻¹, of an eigenvalue of 1 eV/Å²/u."""

IMAGINARY = 30.0
"""cm⁻¹; smaller imaginary wave numbers are within what a minimum's last step and single precision leave."""


def frequencies(hessian: np.ndarray, masses: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Wave numbers of the vibrations, cm⁻¹, ascending, imaginary ones as negative: 3 n − 6, or 3 n − 5 if linear.

    Translations and rotations are projected out, so that a geometry that is not quite a minimum does not mix them in.

    Args:
        hessian: ∂²E/∂r², eV/Å² ``[3 n, 3 n]``; its symmetric part is taken.
        masses: u, ``[n]``.
        positions: Å, ``[n, 3]``.
    """
    root = np.repeat(np.sqrt(masses), 3)
    weighted = 0.5 * (hessian + hessian.T) / np.outer(root, root)
    free = rigid_motions(masses, positions)
    # Vibrations span the complement of the rigid motions.
    basis = np.linalg.svd(free.T, full_matrices=True)[2][free.shape[1] :].T
    values = np.linalg.eigvalsh(basis.T @ weighted @ basis)
    return np.sign(values) * np.sqrt(np.abs(values)) * PER_CM


def rigid_motions(masses: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Orthonormal translations and rotations in mass-weighted coordinates, ``[3 n, 6]`` (5 if linear)."""
    r = positions - masses @ positions / masses.sum()
    axes = np.eye(3)
    motions = [np.tile(axis, (len(masses), 1)) for axis in axes] + [np.cross(axis, r) for axis in axes]
    matrix = np.stack([(np.sqrt(masses)[:, None] * motion).ravel() for motion in motions], axis=1)
    vectors, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    # Singular values of rotations are √(moments of inertia): a linear molecule's third one is zero.
    return vectors[:, sizes > 1e-4 * sizes[0]]


def degrees_of_freedom(masses: np.ndarray, positions: np.ndarray) -> int:
    """Vibrations of an isolated molecule: 3 n − 6, 3 n − 5 if it is linear, none of an atom.

    Args:
        masses: u, ``[n]``.
        positions: Å, ``[n, 3]``.
    """
    return 3 * len(masses) - rigid_motions(masses, positions).shape[1]


def mode_figures(found: np.ndarray, reference: np.ndarray, imaginary: float) -> dict[str, float | int]:
    """Frequencies of a potential against those of the reference, both ascending, cm⁻¹.

    Args:
        found: of the potential.
        reference: as many.
        imaginary: cm⁻¹; only wave numbers below minus this are counted as imaginary.

    Returns:
        ``frequency_mae``, cm⁻¹, the n-th lowest against the n-th lowest; ``imaginary``, how many the potential has.

    Raises:
        DataError: the one has more vibrations than the other.
    """
    if len(found) != len(reference):
        raise DataError(
            f"the potential's minimum has {len(found)} vibrations, the reference's {len(reference)}: one is linear and "
            "the other bent, their frequencies cannot be compared"
        )
    return {
        "frequency_mae": float(np.abs(found - reference).mean()),
        "imaginary": int((found < -imaginary).sum()),
    }
