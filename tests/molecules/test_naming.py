import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.fragments import BARE, FRAGMENTS, Fragment
from compbench_jax.molecules.naming import COMMON_NAMES, chain_name, systematic_name
from compbench_jax.molecules.registry import extended_registry

# Written by hand, not taken from the program.
NAMES = [
    (("H", "H"), 2, "ethane"),
    (("H", "H"), 6, "hexane"),
    (("H", "H"), 13, "tridecane"),
    (("OH", "H"), 2, "ethanol"),
    (("OH", "H"), 3, "propan-1-ol"),
    (("H", "OH"), 4, "butan-1-ol"),
    (("NH2", "H"), 2, "ethanamine"),
    (("NH2", "H"), 5, "pentan-1-amine"),
    (("CHO", "H"), 2, "ethanal"),
    (("CHO", "H"), 3, "propanal"),
    (("COOH", "H"), 2, "ethanoic acid"),
    (("COOH", "H"), 11, "undecanoic acid"),
    (("OH", "OH"), 2, "ethane-1,2-diol"),
    (("OH", "OH"), 12, "dodecane-1,12-diol"),
    (("NH2", "NH2"), 3, "propane-1,3-diamine"),
    (("CHO", "CHO"), 3, "propanedial"),
    (("COOH", "COOH"), 3, "propanedioic acid"),
    (("COOH", "COOH"), 8, "octanedioic acid"),
    (("NH2", "COOH"), 2, "2-aminoethanoic acid"),
    (("NH2", "COOH"), 3, "3-aminopropanoic acid"),
    (("OH", "NH2"), 2, "2-aminoethan-1-ol"),
    (("OH", "NH2"), 6, "6-aminohexan-1-ol"),
    (("OH", "CHO"), 2, "2-hydroxyethanal"),
    (("OH", "COOH"), 2, "2-hydroxyethanoic acid"),
    (("NH2", "CHO"), 2, "2-aminoethanal"),
    (("CHO", "COOH"), 3, "3-oxopropanoic acid"),
    (("CHO", "COOH"), 10, "10-oxodecanoic acid"),
    (("CONH2", "H"), 2, "ethanamide"),
    (("CONH2", "H"), 3, "propanamide"),
    (("H", "CONH2"), 15, "pentadecanamide"),
    (("CONH2", "CONH2"), 2, "ethanediamide"),
    (("CONH2", "CONH2"), 6, "hexanediamide"),
    (("OH", "CONH2"), 3, "3-hydroxypropanamide"),
    (("NH2", "CONH2"), 4, "4-aminobutanamide"),
    (("CHO", "CONH2"), 4, "4-oxobutanamide"),
    (("CONH2", "COOH"), 2, "2-amino-2-oxoethanoic acid"),
    (("CONH2", "COOH"), 4, "4-amino-4-oxobutanoic acid"),
    (("OH", "CHO"), 3, "3-hydroxypropanal"),
    (("CHO", "OH"), 4, "4-hydroxybutanal"),
    (("OH", "CHO"), 10, "10-hydroxydecanal"),
    (("OH", "CHO"), 13, "13-hydroxytridecanal"),
    (("COOH", "COOH"), 2, "ethanedioic acid"),
    (("CHO", "CHO"), 2, "ethanedial"),
    (("CHO", "COOH"), 2, "2-oxoethanoic acid"),
    (("OH", "H"), 15, "pentadecan-1-ol"),
    (("NH2", "H"), 14, "tetradecan-1-amine"),
    (("CHO", "H"), 15, "pentadecanal"),
    (("COOH", "H"), 14, "tetradecanoic acid"),
]


@pytest.mark.parametrize(("ends", "n", "name"), NAMES)
def test_systematic_names(ends, n, name):
    assert systematic_name(ends, n) == name
    assert systematic_name(ends[::-1], n) == name


FLUORO = Fragment("F", "F", "F", 0, -1, "", "fluoro", 0, "fluoride", "difluoride")
BROMO = Fragment("Br", "Br", "Br", 0, -2, "", "bromo", 0, "bromide", "dibromide")
THIOL = Fragment("SH", "S", "S", 0, 2, "thiol", "sulfanyl", 0, "thiol", "dithiol")
NITRILE = Fragment("CN", "N#C", "C#N", 1, 3, "nitrile", "cyano", 1, "nitrile", "dinitrile")


@pytest.mark.parametrize(
    ("junior", "senior", "n", "name"),
    [
        (BARE, THIOL, 2, "ethanethiol"),
        (BARE, THIOL, 3, "propane-1-thiol"),
        (BARE, NITRILE, 3, "propanenitrile"),
        (NITRILE, NITRILE, 4, "butanedinitrile"),
        (NITRILE, FRAGMENTS["COOH"], 4, "3-cyanopropanoic acid"),
        (FLUORO, BARE, 2, "fluoroethane"),
        (FLUORO, BARE, 3, "1-fluoropropane"),
        (FLUORO, FLUORO, 4, "1,4-difluorobutane"),
        (BROMO, FLUORO, 2, "1-bromo-2-fluoroethane"),
        (FLUORO, FRAGMENTS["OH"], 2, "2-fluoroethan-1-ol"),
    ],
)
def test_rows_not_in_the_table_are_named_too(junior, senior, n, name):
    assert chain_name(junior, senior, n) == name


def test_too_long_a_chain_is_refused():
    with pytest.raises(CompBenchError, match="40 carbons"):
        systematic_name(("H", "H"), 40)


def test_common_names_lead_to_registry_molecules():
    names = {molecule.name for molecule in extended_registry()}
    assert set(COMMON_NAMES.values()) <= names
    assert not set(COMMON_NAMES) & names
