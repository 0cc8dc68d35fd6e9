import subprocess
import sys

import numpy as np
import pytest
from rdkit import Chem

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.molecules.graph import graph_from_rdmol, molecular_graph
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.registry import extended_registry, find_molecule


def test_ethanol_by_hand():
    graph = molecular_graph(find_molecule("ethanol"))
    assert graph.n_atoms == 9
    assert graph.numbers.tolist() == [6, 6, 8, 1, 1, 1, 1, 1, 1]
    assert graph.bonds.tolist() == [[0, 1], [0, 3], [0, 4], [0, 5], [1, 2], [1, 6], [1, 7], [2, 8]]
    assert graph.numbers.dtype == graph.bonds.dtype == np.int32
    assert graph.environments.dtype == np.uint32
    assert graph.environments.shape == (9, 5)


def test_every_registry_graph_is_a_saturated_tree():
    valence = {1: 1, 6: 4, 7: 3, 8: 2}
    for molecule in extended_registry():
        graph = molecular_graph(molecule)
        assert len(graph.bonds) == graph.n_atoms - 1
        assert (graph.bonds[:, 0] < graph.bonds[:, 1]).all()
        assert graph.bonds.tolist() == sorted(graph.bonds.tolist())
        degree = np.bincount(graph.bonds.ravel(), minlength=graph.n_atoms)
        double_bonds = sum(molecule.ends.count(key) for key in ("CHO", "COOH", "CONH2"))
        missing = sum(valence[z] for z in graph.numbers.tolist()) - degree.sum()
        assert missing == 2 * double_bonds


def test_a_reordered_molecule_keeps_its_own_order():
    ethanol = find_molecule("ethanol")
    order = [8, 2, 0, 1, 3, 4, 5, 6, 7]
    mol = Chem.RenumberAtoms(Chem.AddHs(Chem.MolFromSmiles(ethanol.smiles)), order)
    graph, reference = graph_from_rdmol(mol, ethanol), molecular_graph(ethanol)
    np.testing.assert_array_equal(graph.numbers, reference.numbers[order])
    np.testing.assert_array_equal(graph.environments, reference.environments[order])
    bonded = {frozenset((order[i], order[j])) for i, j in graph.bonds}
    assert bonded == {frozenset(pair) for pair in reference.bonds.tolist()}


def test_an_atom_alone_has_no_bonds():
    graph = molecular_graph(Molecule("helium", "[He]", "", "He"))
    assert graph.bonds.shape == (0, 2)
    assert (graph.environments == graph.environments[0, 0]).all()


def test_unreadable_smiles():
    with pytest.raises(DataError, match=r"'C\(' of broken cannot be read"):
        molecular_graph(Molecule("broken", "C(", "", ""))


def test_without_rdkit_the_error_names_the_extra(monkeypatch):
    ethanol = find_molecule("ethanol")
    monkeypatch.setitem(sys.modules, "rdkit.Chem", None)
    with pytest.raises(CompBenchError, match=r"pip install 'compbench_jax\[generate\]'"):
        molecular_graph(ethanol)


def test_importing_the_room_does_not_import_rdkit():
    rooms = "registry, graph, environments, conformers, identify, naming, fragments"
    code = f"import sys; from compbench_jax.molecules import {rooms}; sys.exit('rdkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
