"""The same molecule in two atom orders: which atom is which."""

from typing import Any

import numpy as np

from compbench_jax.errors import optional_import
from compbench_jax.molecules.molecule import MolecularGraph

BONDED = 1.3
"""Units of the sum of covalent radii: bonds at 300 K reach it, the nearest contacts stay above 1.4."""


def match_order(graph: MolecularGraph, reference: MolecularGraph) -> np.ndarray | None:
    """Return the order that brings ``graph`` into the atom order of ``reference``, int64 ``[n_atoms]``.

    ``positions[order]`` of a geometry of ``graph`` is in the order of ``reference``: elements, bonds and atom
    environments then agree. One of several where atoms are equivalent; the identity where the graphs already agree.
    None where they are not the same molecule.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    if _agree(graph, reference, np.arange(graph.n_atoms)):
        return np.arange(graph.n_atoms)
    if graph.n_atoms != reference.n_atoms or len(graph.bonds) != len(reference.bonds):
        return None
    rows = np.concatenate([graph.environments, reference.environments])
    labels = np.unique(rows, axis=0, return_inverse=True)[1].reshape(2, -1)
    order = _isomorphism((graph.numbers, graph.bonds, labels[0]), (reference.numbers, reference.bonds, labels[1]))
    return order if order is not None and _agree(graph, reference, order) else None


def match_geometry(numbers: np.ndarray, positions: np.ndarray, reference: MolecularGraph) -> np.ndarray | None:
    """Return the order that brings a geometry into the atom order of ``reference``, int64 ``[n_atoms]``.

    Bonds are atoms closer than ``BONDED`` times the sum of their covalent radii; elements and bonds agree in the order
    returned. One of several where atoms are equivalent; None where the geometry is not this molecule.

    Args:
        numbers: Z, ``[n_atoms]``.
        positions: Å, ``[n_atoms, 3]``.
        reference: the molecule and its atom order.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    from ase.data import covalent_radii

    if not np.array_equal(np.sort(numbers), np.sort(reference.numbers)):
        return None
    first, second = np.triu_indices(len(numbers), 1)
    distance = np.linalg.norm(positions[first] - positions[second], axis=-1)
    near = distance < BONDED * (covalent_radii[numbers[first]] + covalent_radii[numbers[second]])
    bonds = np.stack([first[near], second[near]], axis=1)
    if len(bonds) != len(reference.bonds):
        return None
    same = np.zeros((2, len(numbers)), np.int64)
    return _isomorphism((numbers, bonds, same[0]), (reference.numbers, reference.bonds, same[1]))


def reordered(graph: MolecularGraph, order: np.ndarray) -> MolecularGraph:
    """The same molecule with its atoms in another order: ``numbers[order]``, bonds and environments likewise."""
    bonds = np.sort(np.argsort(order)[graph.bonds], axis=1)
    bonds = bonds[np.lexsort((bonds[:, 1], bonds[:, 0]))].astype(np.int32)
    return MolecularGraph(graph.molecule, graph.numbers[order], bonds, graph.environments[order])


def _agree(graph: MolecularGraph, reference: MolecularGraph, order: np.ndarray) -> bool:
    """Whether the atoms of ``graph`` taken in this order have the elements, environments and bonds of the reference."""
    if graph.n_atoms != reference.n_atoms:
        return False
    again = reordered(graph, order)
    return all(
        np.array_equal(getattr(again, key), getattr(reference, key)) for key in ("numbers", "environments", "bonds")
    )


def _isomorphism(
    graph: tuple[np.ndarray, np.ndarray, np.ndarray], reference: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray | None:
    """An order that maps elements, bonds and labels of one graph (numbers, bonds, labels) to those of another."""
    # Atoms carry their label as an isotope: RDKit then matches an atom with none but its equals.
    match = _skeleton(*graph).GetSubstructMatch(_skeleton(*reference))
    return np.array(match, np.int64) if len(match) == len(graph[0]) else None


def _skeleton(numbers: np.ndarray, bonds: np.ndarray, labels: np.ndarray) -> Any:
    """The graph as an RDKit molecule of single bonds, one isotope a label."""
    chem = optional_import("rdkit.Chem", "generate", "comparing atom orders")
    mol = chem.RWMol()
    for number, label in zip(numbers.tolist(), labels.tolist(), strict=True):
        atom = chem.Atom(number)
        atom.SetNoImplicit(True)
        atom.SetIsotope(label + 1)
        mol.AddAtom(atom)
    for i, j in bonds.tolist():
        mol.AddBond(i, j, chem.BondType.SINGLE)
    return mol
