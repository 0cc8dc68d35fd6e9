"""What must be zero: non-conservative part and net force, and the effect of a molecule or atom far away."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.dynamics.engine import Engine
from compbench_jax.dynamics.system import Room, System, common_shape
from compbench_jax.models.potential import Potential
from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph, Molecule

APART = 100.0
"""Å between two molecules, or more if the potential's receptive field is larger than a quarter of it."""

GRID = 2**15
"""Points an ångström: float32 holds 2⁻¹⁵ Å exactly up to 512 Å."""

NEON = 10


def force_field_figures(forces: np.ndarray, jacobian: np.ndarray) -> dict[str, float]:
    """How far forces are from a gradient that depends on differences of positions only.

    Args:
        forces: eV/Å, ``[n, 3]``.
        jacobian: ∂F/∂r, eV/Å², ``[3 n, 3 n]``.

    Returns:
        ``curl``: the non-conservative part, ‖J − Jᵀ‖ / ‖J + Jᵀ‖ (Frobenius); 0 for a gradient, 1 for a random matrix.
        ``push``: the net force, ‖ΣF‖ / (√n · rms F).
    """
    symmetric = float(np.linalg.norm(jacobian + jacobian.T))
    size = np.sqrt(len(forces) * (forces**2).sum(axis=1).mean())
    return {
        "curl": float(np.linalg.norm(jacobian - jacobian.T)) / symmetric if symmetric else float("nan"),
        "push": float(np.linalg.norm(forces.sum(axis=0)) / size) if size else 0.0,
    }


def together(first: MolecularGraph, second: MolecularGraph) -> MolecularGraph:
    """Two molecules as one, without a bond between them."""
    name = f"{first.molecule.name} + {second.molecule.name}"
    return MolecularGraph(
        Molecule(name, f"{first.molecule.smiles}.{second.molecule.smiles}", name, ""),
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.bonds, second.bonds + first.n_atoms]).astype(np.int32),
        np.concatenate([first.environments, second.environments]),
    )


def single_atom(number: int) -> MolecularGraph:
    """A molecule of one atom."""
    symbol = chemical_symbols[number]
    return MolecularGraph(
        Molecule(symbol, f"[{symbol}]", symbol, symbol),
        np.array([number], np.int32),
        np.zeros((0, 2), np.int32),
        np.full((1, MAX_RADIUS + 1), number, np.uint32),
    )


def far_atom(potential: Potential) -> int:
    """Atomic number of the atom put far away: neon, or where the potential does not know it the lightest it knows.

    An element without parameters cannot be given to a potential at all; what is asked here (does something beyond all
    cutoffs change anything?) any element answers.
    """
    elements = potential.normalisation.elements
    return NEON if NEON in elements else min(elements)


def separations(
    engine: Engine, pairs: Sequence[tuple[MolecularGraph, np.ndarray, MolecularGraph, np.ndarray]], field: float
) -> list[dict[str, float]]:
    """Energies and forces of two molecules far apart, against those of each alone.

    Each of the three is a batch of its own: a potential that mixes what is in one batch gives itself away.

    Args:
        engine: the potential.
        pairs: two molecules and their positions, Å.
        field: Å, the potential's receptive field.

    Returns:
        for each pair ``energy``, |E(A + B) − E(A) − E(B)| in meV; ``force``, the largest difference of a force
        component in meV/Å; ``distance`` in Å between the nearest atoms.
    """
    apart = max(APART, 4.0 * field)
    shape = common_shape([[together(a, b)] for a, _, b, _ in pairs])
    cases = []
    for a, at_a, b, at_b in pairs:
        # On a grid that float32 still resolves where the second is moved to: its inner distances stay the same bits.
        at_a, at_b = np.round(at_a * GRID) / GRID, np.round(at_b * GRID) / GRID
        moved = at_b + [np.ceil(apart + at_a[:, 0].max() - at_b[:, 0].min()), 0.0, 0.0]
        geometries = [(together(a, b), np.concatenate([at_a, moved])), (a, at_a), (b, at_b)]
        cases.append([(System(engine.potential, [graph], shape), at) for graph, at in geometries])
    # One room for all: one program.
    rooms = [system.reserve(system.pad(at)) for case in cases for system, at in case]
    room = Room(*(max(sizes) for sizes in zip(*rooms, strict=True)))
    found = []
    for case in cases:
        parts = []
        for system, at in case:
            system.room = room
            parts.append(engine.energy_and_forces(system, at))
        (whole, forces), (first, of_first), (second, of_second) = parts
        alone = np.concatenate([of_first, of_second])
        found.append(
            {
                "energy": 1000.0 * abs(float(whole[0] - first[0] - second[0])),
                "force": 1000.0 * float(np.abs(forces - alone).max()),
                "distance": float(apart),
            }
        )
    return found


def extensivity(
    engine: Engine, molecules: Sequence[tuple[MolecularGraph, np.ndarray]], field: float
) -> list[dict[str, Any]]:
    """Each molecule with the next one of the list (the last with the first), far apart: see :func:`separations`."""
    pairs = [(*item, *molecules[(k + 1) % len(molecules)]) for k, item in enumerate(molecules)]
    found = separations(engine, pairs, field)
    return [{**item, "beside": pair[2].molecule.name} for item, pair in zip(found, pairs, strict=True)]


def locality(
    engine: Engine, molecules: Sequence[tuple[MolecularGraph, np.ndarray]], field: float
) -> list[dict[str, Any]]:
    """Each molecule with a single atom far away (:func:`far_atom`): see :func:`separations`."""
    atom = single_atom(far_atom(engine.potential))
    pairs = [(graph, at, atom, np.zeros((1, 3))) for graph, at in molecules]
    return [{**item, "beside": atom.molecule.name} for item in separations(engine, pairs, field)]
