import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from compbench_jax.errors import DataError
from compbench_jax.molecules.environments import atom_environments
from compbench_jax.molecules.registry import core_registry, extended_registry


def rdmol(smiles):
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


def classes(smiles):
    environments = atom_environments(rdmol(smiles))
    return [len(np.unique(environments[:, radius])) for radius in range(5)]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC", [2, 2, 2, 2, 2]),  # C and H, whatever the radius
        ("CCC", [3, 4, 4, 4, 4]),  # CH3, CH2, H; then H on CH3 and H on CH2
        ("CCCC", [3, 4, 4, 4, 4]),
        ("CCCCCC", [3, 5, 6, 6, 6]),  # the middle CH2 stands apart at 1, its hydrogens at 2
        ("CCO", [4, 6, 6, 6, 6]),  # CH3, CH2, O, H; then three kinds of H
        ("OCCO", [3, 4, 4, 4, 4]),
        ("NCC(=O)O", [6, 8, 8, 8, 8]),  # N, CH2, C, =O, O, H; then H on N, C and O
    ],
)
def test_number_of_environments_by_hand(smiles, expected):
    assert classes(smiles) == expected


def test_shape_and_type():
    environments = atom_environments(rdmol("CCO"))
    assert environments.shape == (9, 5)
    assert environments.dtype == np.uint32


def test_equal_environments_are_equal_across_molecules():
    ethanol, propanol, butanol = (atom_environments(rdmol("C" * n + "O")) for n in (2, 3, 4))
    assert ethanol[0, 0] == propanol[0, 0]  # CH3
    assert propanol[2, 1] == butanol[3, 1]  # the CH2 between O and CH2 …
    assert ethanol[1, 1] != propanol[2, 1]  # … is not the one between O and CH3
    assert ethanol[2, 1] == propanol[3, 1]  # the oxygen sees H and CH2 in both,
    assert ethanol[2, 2] != propanol[3, 2]  # but CH3 or CH2 two bonds away


def test_bond_orders_count():
    acid = atom_environments(rdmol("CC(=O)O"))
    assert acid[2, 0] != acid[3, 0]


def seen(molecules, radius):
    return {
        int(identifier) for molecule in molecules for identifier in atom_environments(rdmol(molecule.smiles))[:, radius]
    }


def test_glycine_is_new_from_radius_one_and_its_homologues_are_not():
    parts = ("alkane", "amine", "acid", "diamine", "diacid")
    known = [molecule for molecule in core_registry() if molecule.family in parts]
    amino_acids = [molecule for molecule in core_registry() if molecule.family == "amino acid"]
    assert seen(amino_acids, 0) <= seen(known, 0)
    new = [molecule.n for molecule in amino_acids if seen([molecule], 1) - seen(known, 1)]
    assert new == [2]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_environments_follow_a_permutation_of_the_atoms(data):
    molecule = data.draw(st.sampled_from(extended_registry()))
    mol = rdmol(molecule.smiles)
    order = data.draw(st.permutations(range(mol.GetNumAtoms())))
    shuffled = atom_environments(Chem.RenumberAtoms(mol, list(order)))
    np.testing.assert_array_equal(shuffled, atom_environments(mol)[order])


def test_implicit_hydrogens_are_refused():
    with pytest.raises(DataError, match="6 are implicit"):
        atom_environments(Chem.MolFromSmiles("CC"))
