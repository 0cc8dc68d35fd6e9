"""Atom orders of one molecule brought together."""

import numpy as np
import pytest

from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.matching import match_geometry, match_order, reordered
from compbench_jax.molecules.molecule import Molecule


def graph_of(smiles):
    return molecular_graph(Molecule(smiles, smiles, "", ""))


SMILES = ["C", "CC", "OCCO", "NCC(=O)O", "CCCCCCCCCCCCC", "C1CC1C", "c1ccccc1O", "CC(C)(C)C=C", "C#N", "[H][H]"]


@pytest.mark.parametrize("smiles", SMILES)
def test_any_order_is_brought_into_any_other(smiles):
    rng = np.random.default_rng(0)
    graph = graph_of(smiles)
    for _ in range(5):
        first, second = (reordered(graph, rng.permutation(graph.n_atoms)) for _ in range(2))
        order = match_order(first, second)
        assert sorted(order) == list(range(graph.n_atoms))
        again = reordered(first, order)
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


@pytest.mark.parametrize("smiles", ["CC", "OCCO", "NCC(=O)O", "CCCCCCCCCCCCC", "CC(C)(C)C=C"])
def test_a_geometry_is_brought_into_the_order_of_a_graph(smiles):
    from compbench_jax.molecules.conformers import conformer

    rng = np.random.default_rng(0)
    graph = graph_of(smiles)
    positions = conformer(graph.molecule, 1)
    for _ in range(5):
        shuffle = rng.permutation(graph.n_atoms)
        order = match_geometry(graph.numbers[shuffle], positions[shuffle], graph)
        np.testing.assert_array_equal(reordered(reordered(graph, shuffle), order).bonds, graph.bonds)
        np.testing.assert_array_equal(graph.numbers[shuffle][order], graph.numbers)
    assert match_geometry(graph.numbers, 3 * positions, graph) is None
    assert match_geometry(graph.numbers, positions, graph_of("CCOC")) is None
