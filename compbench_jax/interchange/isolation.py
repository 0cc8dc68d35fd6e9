"""What a file states of charge, spin and cell: only neutral, closed-shell molecules in a vacuum are taken."""

from collections.abc import Mapping
from typing import Any

import numpy as np

CHARGES = ("charge", "total_charge", "molecular_charge", "net_charge")
SPINS = ("spin", "total_spin")
MULTIPLICITIES = ("multiplicity", "spin_multiplicity")
MOMENTS = ("magmom",)
VACUUM = 10.0
"""Å that the periodic images of a molecule must be apart for it to count as isolated."""


def not_neutral(info: Mapping[str, Any]) -> str | None:
    """Say which charge or open shell the keys of a frame state, or return None.

    A ``spin`` of 0 is that of a closed shell, and so is 1, as programs that mean the multiplicity write it.
    """
    for keys, accepted in ((CHARGES, (0.0,)), (SPINS, (0.0, 1.0)), (MULTIPLICITIES, (1.0,)), (MOMENTS, (0.0,))):
        for key in keys:
            value = info.get(key)
            if value is None:
                continue
            try:
                number = float(np.asarray(value, np.float64).reshape(()))
            except (TypeError, ValueError):
                return f"states {key} {str(value)[:20]!r}, no number"
            if not any(abs(number - each) < 0.01 for each in accepted):
                return f"states {key} {number:g}"
    return None


def not_isolated(cell: Any, periodic: Any, positions: np.ndarray) -> str | None:
    """Say how a periodic cell is stated whose images are near, or return None.

    A box so large that images are ``VACUUM`` apart along every periodic direction holds an isolated molecule.

    Args:
        cell: its vectors, 9 numbers, in the unit of the positions (Bohr is taken for Å: stricter); None for none.
        periodic: along which of them, 3 truth values.
        positions: ``[n_atoms, 3]``, the molecule not wrapped into the cell.
    """
    along = np.asarray(periodic, bool).reshape(3)
    if not along.any():
        return None
    try:
        vectors = np.asarray(cell, np.float64).reshape(3, 3)
        # Rows of the inverse's transpose are normal to the faces; one over their length is the cell's height.
        normals = np.linalg.inv(vectors).T
    except (TypeError, ValueError, np.linalg.LinAlgError):
        return "states periodic boundaries without a whole cell"
    extent = np.ptp(np.asarray(positions, np.float64) @ normals.T, axis=0)
    gap = float(((1.0 - extent) / np.linalg.norm(normals, axis=1))[along].min())
    if gap >= VACUUM:
        return None
    return f"states a periodic cell in which images are {max(gap, 0.0):.1f} Å apart"
