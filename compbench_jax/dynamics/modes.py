"""Vibrations of a potential at its own minimum, and those of the labels' level at its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from compbench_jax.dynamics.engine import Engine
from compbench_jax.dynamics.minimise import BFGS, largest_force
from compbench_jax.dynamics.start import masses_of
from compbench_jax.dynamics.system import System
from compbench_jax.dynamics.vibrations import IMAGINARY, frequencies, mode_figures
from compbench_jax.errors import DataError
from compbench_jax.labelling.bonds import changed_bond
from compbench_jax.molecules.molecule import MolecularGraph

CONVERGED = 0.005
"""eV/Å; the largest force at a minimum."""

MOST_STEPS = 300


def relax(
    engine: Engine, system: System, positions: Sequence[np.ndarray], hessians: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Minimise all molecules of a batch at once, each by its own BFGS.

    Args:
        engine: the potential.
        system: the molecules.
        positions: Å, of each ``[n, 3]``.
        hessians: eV/Å², of each ``[3 n, 3 n]``, about right: the reference's.

    Returns:
        positions of the minima, and whether the search of each converged.
    """
    searches = [BFGS(len(at), hessian) for at, hessian in zip(positions, hessians, strict=True)]
    current, done = list(positions), np.zeros(len(searches), bool)
    for _ in range(MOST_STEPS):
        _, forces = engine.energy_and_forces(system, system.centred(current))
        for k, own in enumerate(system.split(forces)):
            if not done[k] and np.isfinite(own).all():
                done[k] = largest_force(own) < CONVERGED
                if not done[k]:
                    current[k] = searches[k].step(current[k], own)
        if done.all():
            break
    return current, done


def modes(
    engine: Engine, graphs: Sequence[MolecularGraph], minima: Sequence[np.ndarray], hessians: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """Figures of the normal modes of each molecule.

    Args:
        engine: the potential.
        graphs: the molecules.
        minima: of the reference, Å ``[n, 3]``.
        hessians: of the reference there, eV/Å² ``[3 n, 3 n]``.

    Returns:
        for each molecule what :func:`mode_figures` says, ``shift`` (Å, root mean square distance of the two minima,
        superposed), ``converged`` (0 or 1), and the wave numbers. No frequencies if a bond broke on the way to the
        minimum, or if one minimum is linear and the other bent (``how``).
    """
    system = System(engine.potential, graphs)
    relaxed, converged = relax(engine, system, minima, hessians)
    _, jacobians = engine.jacobians(system, system.centred(relaxed))
    found = []
    for graph, at, done, jacobian, minimum, hessian in zip(
        graphs, relaxed, converged, jacobians, minima, hessians, strict=True
    ):
        how = changed_bond(graph, at)
        if how is None and not np.isfinite(jacobian).all():
            how = "the Hessian is not finite"
        figures: dict[str, Any] = {"converged": int(done), "shift": superposed_distance(at, minimum), "how": how}
        if how is None:
            masses = masses_of(graph)
            # The symmetric part is taken: of forces that are no gradient, the part that an energy could have.
            own, truth = frequencies(-jacobian, masses, at), frequencies(hessian, masses, minimum)
            try:
                figures |= mode_figures(own, truth, IMAGINARY)
            except DataError as error:
                figures["how"] = str(error)
            figures["frequencies"] = [round(float(value), 2) for value in own]
            figures["reference_frequencies"] = [round(float(value), 2) for value in truth]
        found.append(figures)
    return found


def superposed_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square distance of two geometries ``[n, 3]``, the one turned onto the other (Kabsch 1976)."""
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    left, sizes, right = np.linalg.svd(a.T @ b)
    sizes[-1] *= np.sign(np.linalg.det(left @ right))
    return float(np.sqrt(max(0.0, (a**2).sum() + (b**2).sum() - 2.0 * sizes.sum()) / len(a)))
