import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from compbench_jax.errors import DataError
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.identify import identify, identify_many
from compbench_jax.molecules.registry import extended_registry, find_molecule

NAMES = [
    "hexane",
    "ethane-1,2-diol",
    "tridecan-1-amine",
    "butanedial",
    "propanedioic acid",
    "2-aminoethanoic acid",
    "5-oxopentanoic acid",
]


def scrambled(molecule, seed, noise=0.0):
    """A conformer with its atoms shuffled: numbers, positions, order; numbers = graph.numbers[order]."""
    random = np.random.default_rng(seed)
    graph = molecular_graph(molecule)
    order = random.permutation(graph.n_atoms)
    positions = conformer(molecule, seed)[order]
    return graph.numbers[order], positions + noise * random.normal(size=positions.shape), order


def embedded(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=1) == 0
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), mol.GetConformer().GetPositions()


def check(molecule, numbers, positions, order, found):
    graph = molecular_graph(molecule)
    assert found.molecule == molecule
    assert found.graph.molecule == molecule
    np.testing.assert_array_equal(found.graph.numbers, numbers)
    np.testing.assert_array_equal(found.graph.environments, graph.environments[order])
    place = np.argsort(order)
    expected = sorted(sorted(pair) for pair in place[graph.bonds].tolist())
    assert found.graph.bonds.tolist() == expected
    # mapped back to the library's order, the geometry has the library's elements, bonds and environments
    np.testing.assert_array_equal(numbers[found.order], graph.numbers)
    np.testing.assert_array_equal(found.graph.environments[found.order], graph.environments)
    bonds = positions[found.order][graph.bonds]
    assert np.linalg.norm(bonds[:, 0] - bonds[:, 1], axis=1).max() < 1.7


def test_scrambled_conformers_are_recognised():
    molecules = [find_molecule(name) for name in NAMES]
    geometries = [scrambled(molecule, seed) for seed, molecule in enumerate(molecules)]
    results = identify_many((numbers, positions) for numbers, positions, _ in geometries)
    for molecule, geometry, found in zip(molecules, geometries, results, strict=True):
        check(molecule, *geometry, found)


def test_thermal_distortion_of_the_whole_registry_is_borne():
    geometries = [scrambled(molecule, 5, noise=0.05) for molecule in extended_registry()]
    results = identify_many((numbers, positions) for numbers, positions, _ in geometries)
    assert [found.molecule for found in results] == list(extended_registry())


@given(seed=st.integers(0, 2**31 - 1), name=st.sampled_from(NAMES[1:2] + NAMES[3:]))
@settings(max_examples=5, deadline=None)
def test_the_order_of_the_atoms_does_not_matter(seed, name):
    molecule = find_molecule(name)
    numbers, positions, order = scrambled(molecule, seed)
    check(molecule, numbers, positions, order, identify(numbers, positions))


def test_a_molecule_outside_the_registry_is_named_by_its_smiles():
    found = identify(*embedded("c1ccccc1"))
    assert found.molecule.name == found.molecule.smiles == "c1ccccc1"
    assert found.molecule.inchikey == "UHOVQNZJYSORNB-UHFFFAOYSA-N"
    assert found.molecule.formula == "C6H6"
    assert (found.molecule.family, found.molecule.n, found.molecule.ends) == (None, None, None)
    assert found.order is None
    assert len(found.graph.bonds) == 12
    assert len(np.unique(found.graph.environments[:, 4])) == 2


def test_an_isomer_is_not_the_registry_molecule():
    assert identify(*embedded("CC(C)O")).molecule.smiles == "CC(C)O"


@pytest.mark.parametrize(("smiles", "formula"), [("O", "H2O"), ("CBr", "CH3Br"), ("CS(C)(=O)=O", "C2H6O2S")])
def test_hill_formula(smiles, formula):
    assert identify(*embedded(smiles)).molecule.formula == formula


def test_charge():
    numbers, positions = embedded("[NH4+]")
    assert identify(numbers, positions, charge=1).molecule.smiles == "[NH4+]"
    with pytest.raises(DataError, match="no bond orders give a closed-shell molecule of charge 0"):
        identify(numbers, positions)


def test_a_torn_molecule_is_refused():
    propane = find_molecule("propane")
    numbers, positions = molecular_graph(propane).numbers, conformer(propane, 0)
    positions[-1] += 3.0 * (positions[-1] - positions[1])  # pull one hydrogen off the CH2
    with pytest.raises(DataError, match="C3H8 is not a whole molecule: the atoms fall into 2 separate pieces"):
        identify(numbers, positions)


def test_a_radical_is_refused():
    ethane = find_molecule("ethane")
    numbers, positions = molecular_graph(ethane).numbers, conformer(ethane, 0)
    with pytest.raises(DataError, match="C2H5 is not a whole molecule"):
        identify(numbers[:-1], positions[:-1])


def test_a_moved_proton_is_refused_although_the_inchikey_agrees():
    with pytest.raises(DataError, match=r"InChIKey of 2-aminoethanoic acid but .*a proton moved"):
        identify(*embedded("[NH3+]CC(=O)[O-]"))


@pytest.mark.parametrize(
    ("numbers", "positions", "message"),
    [
        ([6, 1], [[0.0, 0.0, 0.0]], r"not \[2\] and \[1, 3\]"),
        ([], np.zeros((0, 3)), "positions"),
        ([1, 1], [[0.0, 0.0, 0.0], [0.0, 0.0, np.nan]], "not a finite number"),
        ([0, 1], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], "from 1 to 118"),
        ([119, 1], [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], "from 1 to 118"),
        ([1.0, 1.0], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.7]], "integers"),
    ],
)
def test_bad_arrays_are_refused(numbers, positions, message):
    with pytest.raises(DataError, match=message):
        identify(np.array(numbers), np.array(positions))


def test_a_search_without_end_is_killed_and_the_next_geometry_still_identified():
    # An odd-electron chain of 30 oxygens: RDKit tries every combination of their valences.
    index = np.arange(30)
    chain = np.stack([1.15 * index, 0.9 * (index % 2), 0.0 * index], axis=1)
    endless = (np.array([8] * 30 + [1]), np.concatenate([chain, [[-0.5, -0.8, 0.0]]]))
    ethane = find_molecule("ethane")
    good = (molecular_graph(ethane).numbers, conformer(ethane, 0))
    first, killed, last = identify_many([good, endless, good], timeout=3.0)
    assert first.molecule == last.molecule == ethane
    assert isinstance(killed, DataError)
    assert "HO30 took over 3 s" in str(killed)
