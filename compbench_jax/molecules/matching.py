"""The same molecule in two atom orders: which atom is which."""

from typing import Any

import numpy as np

from compbench_jax.errors import optional_import
from compbench_jax.molecules.molecule import MolecularGraph


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
    # Atoms carry their environment as an isotope: RDKit then matches an atom with none but its equals.
    match = _skeleton(graph, labels[0]).GetSubstructMatch(_skeleton(reference, labels[1]))
    order = np.array(match, np.int64)
    return order if len(order) == graph.n_atoms and _agree(graph, reference, order) else None


def _agree(graph: MolecularGraph, reference: MolecularGraph, order: np.ndarray) -> bool:
    """Whether the atoms of ``graph`` taken in this order have the elements, environments and bonds of the reference."""
    if graph.n_atoms != reference.n_atoms or not np.array_equal(graph.numbers[order], reference.numbers):
        return False
    place = np.argsort(order)
    bonds = np.sort(place[graph.bonds], axis=1)
    bonds = bonds[np.lexsort((bonds[:, 1], bonds[:, 0]))]
    return np.array_equal(graph.environments[order], reference.environments) and np.array_equal(bonds, reference.bonds)


def _skeleton(graph: MolecularGraph, labels: np.ndarray) -> Any:
    """The graph as an RDKit molecule of single bonds, one isotope a label."""
    chem = optional_import("rdkit.Chem", "generate", "comparing atom orders")
    mol = chem.RWMol()
    for number, label in zip(graph.numbers.tolist(), labels.tolist(), strict=True):
        atom = chem.Atom(number)
        atom.SetNoImplicit(True)
        atom.SetIsotope(label + 1)
        mol.AddAtom(atom)
    for i, j in graph.bonds.tolist():
        mol.AddBond(i, j, chem.BondType.SINGLE)
    return mol
