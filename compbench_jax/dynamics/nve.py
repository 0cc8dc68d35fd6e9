"""What a trajectory at constant energy says of a potential: drift, broken bonds, and where the atoms have been."""

from typing import Any

import numpy as np
from ase.units import kB

from compbench_jax.dynamics.distributions import distances
from compbench_jax.dynamics.start import masses_of
from compbench_jax.dynamics.trajectory import Trajectory
from compbench_jax.dynamics.vibrations import degrees_of_freedom
from compbench_jax.labelling.bonds import bonds_whole, changed_bond
from compbench_jax.molecules.molecule import MolecularGraph

LOST = 5000.0
"""K; a molecule that is hotter has exploded."""

FEWEST = 10
"""Records that a line is laid through, at least."""


def nve_figures(
    graph: MolecularGraph, times: np.ndarray, positions: np.ndarray, potential: np.ndarray, kinetic: np.ndarray
) -> dict[str, Any]:
    """Figures of one molecule's trajectory.

    Args:
        graph: the molecule.
        times: ps, ``[n_records]``.
        positions: Å, ``[n_records, n_atoms, 3]``.
        potential: eV, ``[n_records]``.
        kinetic: eV, ``[n_records]``.

    Returns:
        ``drift`` (slope of a line through the total energy, meV/atom/ps) and ``temperature`` (K, mean of the last
        fifth; of the vibrations alone, 3N − 6 degrees of freedom, or 3N − 5 if linear) over the records ``kept``, those
        before a bond broke or formed or the molecule exploded (None if these are too few); ``broken`` (0 or 1),
        ``broken_at`` (ps) and ``how``, the first such change; ``lost`` (0 or 1): the molecule exploded.
    """
    n_atoms = graph.n_atoms
    # The start does not move or turn; an atom alone has no vibration and no kinetic energy.
    freedom = max(1, degrees_of_freedom(masses_of(graph), positions[0]))
    total, temperature = potential + kinetic, 2.0 * kinetic / (freedom * kB)
    finite = np.isfinite(positions).all(axis=(1, 2)) & np.isfinite(total) & (temperature < LOST)
    sound = len(finite) if finite.all() else int(np.argmin(finite))
    whole = bonds_whole(graph, positions[:sound])
    kept = sound if whole.all() else int(np.argmin(whole))
    drift = last = None
    if kept >= FEWEST:
        drift = float(np.polyfit(times[:kept], 1000.0 * total[:kept] / n_atoms, 1)[0])
        last = float(temperature[kept - max(1, kept // 5) : kept].mean())
    broken = kept < len(times)
    how = None
    if broken:
        how = changed_bond(graph, positions[kept]) if kept < sound else "the molecule exploded"
    return {
        "drift": drift,
        "temperature": last,
        "broken": int(broken),
        "broken_at": float(times[kept]) if broken else None,
        "how": how,
        "lost": int(sound < len(times)),
        "kept": kept,
    }


def compare_trajectories(
    graph: MolecularGraph, times: np.ndarray, model: Trajectory, column: int, atoms: slice, reference: Trajectory | None
) -> dict[str, Any]:
    """Figures of a molecule's trajectory in a batch, and of its reference's from the same state.

    Distances of distributions are taken over the records that both kept. Their ``floor`` is the sampling noise: the
    distance between the two halves of the reference.
    """
    own = model.positions[:, atoms]
    found = nve_figures(graph, times, own, model.potential[:, column], model.kinetic[:, column])
    if reference is None:
        return found
    other = nve_figures(graph, times, reference.positions, reference.potential[:, 0], reference.kinetic[:, 0])
    found |= {f"reference_{key}": other[key] for key in ("drift", "temperature", "broken", "broken_at", "how")}
    kept = min(found["kept"], other["kept"])
    if kept >= 2 * FEWEST:
        truth = reference.positions[:kept]
        apart = distances(graph, own[:kept], truth)
        floor = distances(graph, truth[: kept // 2], truth[kept // 2 : 2 * (kept // 2)])
        found |= {f"{kind}_distance": value for kind, value in apart.items()}
        found |= {f"{kind}_floor": value for kind, value in floor.items()}
    return found
