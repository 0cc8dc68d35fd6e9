"""Atom orders of one molecule brought together."""

import numpy as np
import pytest

from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.matching import match_order
from compbench_jax.molecules.molecule import MolecularGraph, Molecule


def graph_of(smiles):
    return molecular_graph(Molecule(smiles, smiles, "", ""))


def permuted(graph, order):
    bonds = np.sort(np.argsort(order)[graph.bonds], axis=1)
    bonds = bonds[np.lexsort((bonds[:, 1], bonds[:, 0]))].astype(np.int32)
    return MolecularGraph(graph.molecule, graph.numbers[order], bonds, graph.environments[order])


SMILES = ["C", "CC", "OCCO", "NCC(=O)O", "CCCCCCCCCCCCC", "C1CC1C", "c1ccccc1O", "CC(C)(C)C=C", "C#N", "[H][H]"]


@pytest.mark.parametrize("smiles", SMILES)
def test_any_order_is_brought_into_any_other(smiles):
    rng = np.random.default_rng(0)
    graph = graph_of(smiles)
    for _ in range(5):
        first, second = (permuted(graph, rng.permutation(graph.n_atoms)) for _ in range(2))
        order = match_order(first, second)
        assert sorted(order) == list(range(graph.n_atoms))
        again = permuted(first, order)
        np.testing.assert_array_equal(again.numbers, second.numbers)
        np.testing.assert_array_equal(again.bonds, second.bonds)
        np.testing.assert_array_equal(again.environments, second.environments)


def test_an_order_that_is_right_is_left_alone():
    graph = graph_of("CCCCCC")
    np.testing.assert_array_equal(match_order(graph, graph), np.arange(graph.n_atoms))


@pytest.mark.parametrize(
    ("smiles", "other"), [("CCO", "COC"), ("CC", "CCC"), ("CC=CC", "C=CCC"), ("CC#N", "C[N+]#[C-]")]
)
def test_other_molecules_do_not_match(smiles, other):
    assert match_order(graph_of(smiles), graph_of(other)) is None
