import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph, Molecule
from compbench_jax.molecules.registry import describe_smiles, find_molecule
from compbench_jax.store.torsions import (
    angle_difference,
    backbone_torsions,
    torsion_angles,
    torsion_histogram,
    trans_fraction,
)

CHAIN = np.array([[0, 1, 2, 3]])


def four_atoms(angle):
    """Atoms a-b-c-d with the bond b-c along z and d turned by the angle, clockwise for one who looks along z."""
    radians = np.radians(angle)
    return np.array([[1.0, 0, -0.5], [0, 0, 0], [0, 0, 1.5], [1.1 * np.cos(radians), 1.1 * np.sin(radians), 2.0]])[None]


@given(st.floats(-179.9, 179.9))
def test_angles_of_known_geometries(angle):
    assert torsion_angles(four_atoms(angle), CHAIN)[0, 0] == pytest.approx(angle, abs=1e-9)
    backwards = four_atoms(angle)[:, ::-1]
    assert torsion_angles(backwards, CHAIN)[0, 0] == pytest.approx(angle, abs=1e-9)
    mirrored = four_atoms(angle) * [1, 1, -1]
    assert torsion_angles(mirrored, CHAIN)[0, 0] == pytest.approx(-angle, abs=1e-9)


def test_the_sign_is_that_of_iupac_and_the_range_is_half_open():
    """Clockwise by 60° from the near bond to the far one, seen along b-c, is +60 (ASE counts to 360 the same way)."""
    from ase import Atoms

    assert torsion_angles(four_atoms(60.0), CHAIN)[0, 0] == pytest.approx(60.0)
    for angle in (60.0, -60.0, 175.0, -100.0):
        atoms = Atoms("C4", four_atoms(angle)[0])
        assert atoms.get_dihedral(0, 1, 2, 3) == pytest.approx(angle % 360)
    assert torsion_angles(four_atoms(180.0), CHAIN)[0, 0] == -180.0


def test_several_frames_and_torsions_at_once():
    positions = np.concatenate([four_atoms(30.0), four_atoms(-150.0)]).astype(np.float32)
    angles = torsion_angles(positions, np.array([[0, 1, 2, 3], [3, 2, 1, 0]]))
    np.testing.assert_allclose(angles, [[30, 30], [-150, -150]], atol=1e-4)
    assert torsion_angles(positions, np.zeros((0, 4), int)).shape == (2, 0)


@pytest.mark.parametrize(
    ("name", "count"),
    [("ethane", 0), ("ethanol", 0), ("butane", 1), ("hexane", 3), ("ethane-1,2-diol", 1), ("propanoic acid", 1)],
)
def test_torsions_are_those_of_the_chain(name, count):
    graph = molecular_graph(find_molecule(name))
    torsions = backbone_torsions(graph)
    assert torsions.shape == (count, 4)
    assert (graph.numbers[torsions] > 1).all()
    bonds = {tuple(bond) for bond in graph.bonds.tolist()}
    for a, b, c, d in torsions.tolist():
        assert {tuple(sorted(pair)) for pair in ((a, b), (b, c), (c, d))} <= bonds


def test_a_carboxyl_group_counts_by_its_hydroxyl_oxygen():
    graph = molecular_graph(find_molecule("propanoic acid"))
    ((*_, end),) = np.sort(backbone_torsions(graph)[:, [0, 3]], axis=1).tolist()
    oxygens = np.flatnonzero(graph.numbers == 8)
    assert end in oxygens
    assert (graph.bonds == end).any(axis=1).sum() == 2  # carbon and hydrogen


def test_rings_do_not_turn_but_what_hangs_on_them_does():
    def graph_of(smiles):
        canonical, inchikey, formula = describe_smiles(smiles)
        return molecular_graph(Molecule(smiles, canonical, inchikey, formula))

    assert len(backbone_torsions(graph_of("C1CCCCC1"))) == 0
    assert len(backbone_torsions(graph_of("C1CCCCC1CC"))) == 1


def test_a_molecule_without_bonds_has_no_torsion():
    molecule = Molecule("argon", "[Ar]", "X", "Ar")
    graph = MolecularGraph(molecule, np.array([18]), np.zeros((0, 2), int), np.zeros((1, MAX_RADIUS + 1), np.uint32))
    assert backbone_torsions(graph).shape == (0, 4)


def test_histograms_count_each_torsion_by_itself():
    angles = np.array([[-180.0, 0.0], [-170.1, 179.999], [-170.0, -0.001]])
    counts = torsion_histogram(angles, 36)
    assert counts.sum(axis=1).tolist() == [3, 3]
    assert counts[0, :2].tolist() == [2, 1]
    assert [counts[1, 18], counts[1, 35], counts[1, 17]] == [1, 1, 1]


def test_trans_is_beyond_the_barriers():
    assert trans_fraction(np.array([[180.0, -121.0, 119.0, -60.0]])) == 0.5
    assert trans_fraction(np.zeros((3, 0))) is None


def test_differences_go_the_short_way_round():
    np.testing.assert_allclose(
        angle_difference(np.array([170.0, -170.0, 10.0]), np.array([-170.0, 170.0, -10.0])), 20.0
    )
    assert angle_difference(np.array(0.0), np.array(180.0)) == 180.0
