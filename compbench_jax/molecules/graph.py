"""Molecular graphs with a fixed atom order: elements, bonds and atom environments."""

from typing import Any

import numpy as np

from compbench_jax.errors import DataError, optional_import
from compbench_jax.molecules.environments import atom_environments
from compbench_jax.molecules.molecule import MolecularGraph, Molecule


def molecular_graph(molecule: Molecule) -> MolecularGraph:
    """Return the graph of a molecule in the library's atom order.

    That order is RDKit's for the canonical SMILES with hydrogens added: heavy atoms as the SMILES names them,
    then the hydrogens of each heavy atom in turn. Conformers come in the same order.

    Raises:
        DataError: the SMILES cannot be read.
        CompBenchError: RDKit is not installed.
    """
    return graph_from_rdmol(explicit_rdmol(molecule), molecule)


def explicit_rdmol(molecule: Molecule) -> Any:
    """Return the RDKit molecule of the canonical SMILES, hydrogens explicit, in the library's atom order.

    Raises:
        DataError: the SMILES cannot be read.
    """
    chem = optional_import("rdkit.Chem", "generate", "molecular graphs")
    mol = chem.MolFromSmiles(molecule.smiles)
    if mol is None:
        raise DataError(f"the SMILES {molecule.smiles!r} of {molecule.name} cannot be read: correct it")
    return chem.AddHs(mol)


def graph_from_rdmol(mol: Any, molecule: Molecule) -> MolecularGraph:
    """Return the graph of an RDKit molecule with explicit hydrogens, in that molecule's own atom order.

    Args:
        mol: a sanitised RDKit molecule whose hydrogens are all explicit atoms.
        molecule: the identity to record with it.
    """
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], np.int32)
    pairs = sorted(tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))) for bond in mol.GetBonds())
    bonds = np.array(pairs, np.int32).reshape(len(pairs), 2)
    return MolecularGraph(molecule, numbers, bonds, atom_environments(mol))
