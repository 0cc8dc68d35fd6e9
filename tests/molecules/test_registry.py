from collections import Counter

import pytest
from rdkit import Chem

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.fragments import FRAGMENTS
from compbench_jax.molecules.registry import core_registry, extended_registry, find_molecule

# name, SMILES as a chemist writes it, Hill formula, InChIKey where it is well known (PubChem)
KNOWN = [
    ("ethane", "CC", "C2H6", "OTMSDBZUPAUEDD-UHFFFAOYSA-N"),
    ("tridecane", "CCCCCCCCCCCCC", "C13H28", None),
    ("ethanol", "CCO", "C2H6O", "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"),
    ("propan-1-ol", "OCCC", "C3H8O", None),
    ("ethanamine", "NCC", "C2H7N", None),
    ("butan-1-amine", "NCCCC", "C4H11N", None),
    ("ethanal", "CC=O", "C2H4O", "IKHGUXGNUITLKF-UHFFFAOYSA-N"),
    ("pentanal", "O=CCCCC", "C5H10O", None),
    ("ethanoic acid", "CC(O)=O", "C2H4O2", "QTBSBXVTEAMEQO-UHFFFAOYSA-N"),
    ("butanoic acid", "CCCC(O)=O", "C4H8O2", None),
    ("ethane-1,2-diol", "OCCO", "C2H6O2", "LYCAIKOWRPUZTN-UHFFFAOYSA-N"),
    ("ethane-1,2-diamine", "NCCN", "C2H8N2", None),
    ("propanedial", "O=CCC=O", "C3H4O2", None),
    ("propanedioic acid", "OC(=O)CC(O)=O", "C3H4O4", "OFOBLEOULBTSOW-UHFFFAOYSA-N"),
    ("hexanedioic acid", "OC(=O)CCCCC(O)=O", "C6H10O4", None),
    ("2-aminoethanoic acid", "NCC(O)=O", "C2H5NO2", "DHMQDGOQFOQNFH-UHFFFAOYSA-N"),
    ("3-aminopropanoic acid", "NCCC(O)=O", "C3H7NO2", None),
    ("ethanedioic acid", "OC(=O)C(O)=O", "C2H2O4", "MUBZPKHOEPUJKR-UHFFFAOYSA-N"),
    ("ethanamide", "CC(N)=O", "C2H5NO", "DLFVBJFMPXGRIB-UHFFFAOYSA-N"),
    ("propanamide", "CCC(N)=O", "C3H7NO", None),
    ("pentadecanamide", "CCCCCCCCCCCCCCC(N)=O", "C15H31NO", None),
    ("3-hydroxypropanal", "OCCC=O", "C3H6O2", None),
    ("4-amino-4-oxobutanoic acid", "NC(=O)CCC(O)=O", "C4H7NO3", None),
    ("2-aminoethan-1-ol", "NCCO", "C2H7NO", "HZAXFHJVJLSVMW-UHFFFAOYSA-N"),
    ("2-hydroxyethanal", "OCC=O", "C2H4O2", None),
    ("2-hydroxyethanoic acid", "OCC(O)=O", "C2H4O3", None),
    ("2-aminoethanal", "NCC=O", "C2H5NO", None),
    ("3-oxopropanoic acid", "O=CCC(O)=O", "C3H4O3", None),
]


def test_counts_of_the_core_families():
    assert Counter(molecule.family for molecule in core_registry()) == {
        "alkane": 12,
        "alcohol": 14,
        "amine": 14,
        "aldehyde": 14,
        "acid": 14,
        "amide": 14,
        "hydroxy aldehyde": 12,
        "diamine": 8,
        "diacid": 8,
        "amino acid": 8,
    }
    assert len(core_registry()) == 118


def test_counts_of_the_extension():
    extension = extended_registry()[118:]
    assert extended_registry()[:118] == core_registry()
    assert Counter(molecule.family for molecule in extension) == {
        **dict.fromkeys(("diol", "dialdehyde", "diamide"), 12),
        **dict.fromkeys(("diamine", "diacid", "amino acid"), 4),
        **dict.fromkeys(("amino alcohol", "hydroxy amide", "hydroxy acid", "amino aldehyde"), 12),
        **dict.fromkeys(("amino amide", "oxo amide", "oxo acid", "carbamoyl acid"), 12),
    }
    assert {molecule.n for molecule in extension if molecule.family == "diamine"} == {10, 11, 12, 13}


def test_identities_are_unique():
    registry = extended_registry()
    for field in ("name", "smiles", "inchikey"):
        assert len({getattr(molecule, field) for molecule in registry}) == len(registry) == 262


@pytest.mark.parametrize(("name", "smiles", "formula", "inchikey"), KNOWN)
def test_known_molecules(name, smiles, formula, inchikey):
    molecule = find_molecule(name)
    assert molecule.name == name
    assert molecule.formula == formula
    assert molecule.smiles == Chem.CanonSmiles(smiles)
    assert find_molecule(smiles) is molecule
    if inchikey:
        assert molecule.inchikey == inchikey


def test_every_molecule_is_what_its_record_says():
    patterns = {
        "COOH": Chem.MolFromSmarts("C(=O)[OX2H1]"),
        "CONH2": Chem.MolFromSmarts("C(=O)[NX3H2]"),
        "OH": Chem.MolFromSmarts("[CX4][OX2H1]"),
        "NH2": Chem.MolFromSmarts("[CX4][NX3H2]"),
        "CHO": Chem.MolFromSmarts("[CX3H1](=O)[#6]"),
    }
    assert set(patterns) == set(FRAGMENTS) - {"H"}
    for molecule in extended_registry():
        mol = Chem.MolFromSmiles(molecule.smiles)
        assert sum(atom.GetSymbol() == "C" for atom in mol.GetAtoms()) == molecule.n
        for key, pattern in patterns.items():
            assert len(mol.GetSubstructMatches(pattern)) == molecule.ends.count(key), (molecule, key)
        # unbranched and acyclic: the carbons form one path
        carbons = [atom for atom in mol.GetAtoms() if atom.GetSymbol() == "C"]
        carbon_degrees = [sum(b.GetSymbol() == "C" for b in atom.GetNeighbors()) for atom in carbons]
        assert sorted(carbon_degrees) == [1, 1] + [2] * (molecule.n - 2)
        assert mol.GetNumBonds() == mol.GetNumAtoms() - 1


def test_find_round_trips_every_molecule():
    for molecule in extended_registry():
        assert find_molecule(molecule.name.upper()) is molecule
        assert find_molecule(molecule.inchikey) is molecule
        assert find_molecule(molecule.smiles) is molecule


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Glycine", "2-aminoethanoic acid"),
        ("acetic  acid", "ethanoic acid"),
        ("lfqscwfljhtthz-uhfffaoysa-n", "ethanol"),
        (" C(O)C ", "ethanol"),
    ],
)
def test_find_is_lenient(text, name):
    assert find_molecule(text).name == name


def test_unknown_molecule_names_the_closest():
    with pytest.raises(CompBenchError, match=r"'propan-2-ol'.*propan-1-ol"):
        find_molecule("propan-2-ol")


@pytest.mark.parametrize("text", ["", "c1ccccc1", "CC(C)O", "LFQSCWFLJHTTHZ-UHFFFAOYSA-M", "C(", "nonsense"])
def test_what_is_not_in_the_registry_is_refused_in_one_line(text, capfd):
    with pytest.raises(CompBenchError) as caught:
        find_molecule(text)
    assert "\n" not in str(caught.value)
    assert repr(text) in str(caught.value)
    assert capfd.readouterr().err == ""
