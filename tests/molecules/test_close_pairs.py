import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import explicit_rdmol, molecular_graph
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.pairs import (
    CONTACT,
    HEAVY_APART,
    fragment_atoms,
    pair_of,
    shift_to_contact,
    start_geometry,
)
from compbench_jax.molecules.registry import find_molecule

ETHANOL, ACID, ETHANE = (find_molecule(name) for name in ("ethanol", "butanoic acid", "ethane"))


def test_a_pair_is_one_record_whatever_the_order():
    pair = pair_of(ACID, ETHANOL)
    assert pair == pair_of(ETHANOL, ACID)
    assert sorted(pair.parts) == sorted([ACID.smiles, ETHANOL.smiles])
    assert pair.formula == "C6H14O3" and sorted(pair.name.split(" + ")) == ["butanoic acid", "ethanol"]
    assert pair.family is pair.n is pair.ends is None
    assert pair_of(ACID, ACID).inchikey not in (ACID.inchikey, pair.inchikey)


def test_the_graph_of_a_pair_has_the_atoms_bonds_and_environments_of_both():
    pair, own = molecular_graph(pair_of(ACID, ETHANOL)), [molecular_graph(m) for m in (ACID, ETHANOL)]
    assert pair.n_atoms == sum(graph.n_atoms for graph in own)
    assert len(pair.bonds) == sum(len(graph.bonds) for graph in own)
    rows = np.concatenate([graph.environments for graph in own])
    assert sorted(map(tuple, pair.environments)) == sorted(map(tuple, rows))


def test_fragment_atoms_are_heteroatoms_and_what_is_bonded_to_them():
    pair = pair_of(ACID, ETHANE)
    graph, fragment = molecular_graph(pair), fragment_atoms(explicit_rdmol(pair))
    # C(=O)OH of the acid; all eight atoms of ethane, which has no heteroatom.
    assert sorted(graph.numbers[fragment]) == sorted([6, 8, 8, 1] + [6] * 2 + [1] * 6)


@pytest.mark.parametrize("seed", range(6))
def test_fragments_touch_at_a_distance_of_the_range_and_nothing_else_is_closer(seed):
    pair = pair_of(ACID, ETHANOL)
    graph, positions = molecular_graph(pair), start_geometry(pair, seed)
    np.testing.assert_array_equal(positions, start_geometry(pair, seed))
    np.testing.assert_allclose(positions.mean(axis=0), 0, atol=1e-12)
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    i, j = graph.bonds.T
    assert (apart[i, j] < 1.6).all()
    of_first = np.isin(np.arange(graph.n_atoms), reached(graph, 0))
    between = np.where(of_first[:, None] & ~of_first[None], apart, np.inf)
    a, b = np.unravel_index(np.argmin(between), between.shape)
    heavy = graph.numbers > 1
    fragment = fragment_atoms(explicit_rdmol(pair))
    assert CONTACT[0] <= between[a, b] <= CONTACT[1] and heavy[a] != heavy[b] and fragment[a] and fragment[b]
    assert between[heavy[:, None] & heavy].min() >= HEAVY_APART - 1e-9


def reached(graph, start):
    """Atoms that bonds lead to."""
    found = {start}
    for _ in range(graph.n_atoms):
        found |= {int(b) for i, j in graph.bonds for a, b in ((i, j), (j, i)) if a in found}
    return sorted(found)


def test_of_one_molecule_it_is_a_conformer_and_of_three_it_is_refused():
    np.testing.assert_array_equal(start_geometry(ACID, 5), conformer(ACID, 5))
    with pytest.raises(CompBenchError, match="3 molecules in one frame: give pairs"):
        start_geometry(Molecule("three", "C.C.C", "", ""), 0)


def test_the_first_touch_of_two_shapes():
    fixed, coming = np.array([[0.0, 0, 0], [0, 5, 0]]), np.array([[1.0, 1.5, 2.0], [-1, 5, 0]])
    # The first atoms are √6.25 = 2.5 Å off the line of approach: at 3 Å they touch 1.658… Å along it.
    shift, pair = shift_to_contact(fixed, coming, np.array([[3.0, 1.0], [1.0, 1.0]]))
    assert (shift, pair) == (pytest.approx(2.0), (1, 1))  # the second ones touch at 1 Å, with x from −1 to 1
    shift, pair = shift_to_contact(fixed[:1], coming[:1], np.array([[3.0]]))
    assert (shift, pair) == (pytest.approx(np.sqrt(9 - 6.25) - 1), (0, 0))
    assert shift_to_contact(fixed[:1], coming[:1], np.array([[2.4]]))[0] == -np.inf
