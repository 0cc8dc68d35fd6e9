"""A potential along a scan, against the reference: shape of the profile, its barrier, forces along the path."""

from typing import Any

import numpy as np

from compbench_jax.dynamics.paths import Path
from compbench_jax.labelling.bonds import FORMED
from compbench_jax.molecules.molecule import MolecularGraph

FEWEST = 3
"""Points that a profile has, at least."""


def colliding(graph: MolecularGraph, positions: np.ndarray) -> np.ndarray:
    """Whether atoms that are not bonded came as close as a bond, bool ``[n]`` for ``[n, n_atoms, 3]`` (Å).

    The rule for a bond that formed in a trajectory; bonds that are stretched on purpose do not count.
    """
    from ase.data import covalent_radii

    i, j = np.triu_indices(graph.n_atoms, 1)
    bonded = np.zeros((graph.n_atoms, graph.n_atoms), bool)
    bonded[graph.bonds[:, 0], graph.bonds[:, 1]] = True
    free = ~bonded[i, j]
    i, j = i[free], j[free]
    limit = FORMED * (covalent_radii[graph.numbers[i]] + covalent_radii[graph.numbers[j]])
    return np.array([bool((np.linalg.norm(at[i] - at[j], axis=-1) < limit).any()) for at in positions])


def scan_figures(
    graph: MolecularGraph,
    path: Path,
    energy: np.ndarray,
    forces: np.ndarray,
    true_energy: np.ndarray,
    true_forces: np.ndarray,
) -> dict[str, Any]:
    """Figures of one scan.

    Args:
        graph: the molecule.
        path: the geometries.
        energy: of the potential, eV ``[n_points]``, from any zero.
        forces: eV/Å, ``[n_points, n_atoms, 3]``.
        true_energy: of the reference; NaN where it failed.
        true_forces: likewise.

    Returns:
        over the points where no atoms collide and the reference exists: ``energy_rmse`` (meV) after both profiles'
        means are taken out; ``barrier`` and ``reference_barrier`` (meV), highest minus lowest, and ``barrier_error``,
        the absolute difference; ``path_force_rmse`` (eV/Å), of the force along the path's unit tangent; ``force_mae``
        (eV/Å) over all components; ``points`` and ``left_out``, how many; ``coordinate``, ``energy`` and
        ``reference_energy`` (meV, centred), the profiles. Nothing but the counts if fewer than three points are left.
    """
    kept = ~colliding(graph, path.positions) & np.isfinite(true_energy) & np.isfinite(energy)
    counts: dict[str, Any] = {"points": int(kept.sum()), "left_out": int((~kept).sum()), "atoms": path.atoms}
    if kept.sum() < FEWEST:
        return counts
    own, truth = (1000.0 * (item[kept] - item[kept].mean()) for item in (energy, true_energy))
    along = [(item * path.tangents()).sum(axis=(1, 2))[kept] for item in (forces, true_forces)]
    return counts | {
        "energy_rmse": float(np.sqrt(((own - truth) ** 2).mean())),
        "barrier": float(np.ptp(own)),
        "reference_barrier": float(np.ptp(truth)),
        "barrier_error": float(abs(np.ptp(own) - np.ptp(truth))),
        "path_force_rmse": float(np.sqrt(((along[0] - along[1]) ** 2).mean())),
        "force_mae": float(np.abs(forces[kept] - true_forces[kept]).mean()),
        "coordinate": [round(float(value), 4) for value in path.coordinate[kept]],
        "energy": [round(float(value), 3) for value in own],
        "reference_energy": [round(float(value), 3) for value in truth],
    }
