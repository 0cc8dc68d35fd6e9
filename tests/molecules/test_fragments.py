import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.fragments import (
    CORE_FAMILIES,
    EXTENSION_FAMILIES,
    FAMILIES,
    FRAGMENTS,
    Fragment,
    carbon_range,
    families_of,
    family_of,
    find_fragment,
)


def test_ends_of_the_core_families():
    assert {family: FAMILIES[family] for family in CORE_FAMILIES} == {
        "alkane": ("H", "H"),
        "alcohol": ("OH", "H"),
        "amine": ("NH2", "H"),
        "aldehyde": ("CHO", "H"),
        "acid": ("COOH", "H"),
        "diol": ("OH", "OH"),
        "diamine": ("NH2", "NH2"),
        "dialdehyde": ("CHO", "CHO"),
        "diacid": ("COOH", "COOH"),
        "amino acid": ("NH2", "COOH"),
    }


def test_extension_is_the_five_other_mixed_pairs():
    assert {FAMILIES[family] for family in EXTENSION_FAMILIES} == {
        ("OH", "NH2"),
        ("OH", "CHO"),
        ("OH", "COOH"),
        ("NH2", "CHO"),
        ("CHO", "COOH"),
    }
    assert len(EXTENSION_FAMILIES) == 5


@pytest.mark.parametrize(
    ("ends", "shortest"),
    [
        (("H", "H"), 2),
        (("COOH", "H"), 2),
        (("OH", "OH"), 2),
        (("NH2", "COOH"), 2),
        (("CHO", "CHO"), 3),
        (("COOH", "COOH"), 3),
        (("CHO", "COOH"), 3),
    ],
)
def test_shortest_chain_keeps_a_carbon_between_fragments(ends, shortest):
    assert carbon_range(ends) == range(shortest, 14)


def test_a_new_row_brings_its_families():
    nitrile = Fragment("CN", "N#C", "C#N", 1, 3, "nitrile", "cyano", 1, "nitrile", "dinitrile")
    families = families_of((FRAGMENTS["OH"], FRAGMENTS["COOH"], nitrile))
    assert families["nitrile"] == ("CN", "H")
    assert families["dinitrile"] == ("CN", "CN")
    assert families["cyano acid"] == ("COOH", "CN")
    assert families["hydroxy nitrile"] == ("OH", "CN")
    assert len(families) == 1 + 3 + 3 + 3


def test_find_fragment_by_key_or_family():
    assert find_fragment("NH2") is find_fragment("amine") is find_fragment(" nh2 ")
    assert find_fragment("H").family == "alkane"
    with pytest.raises(CompBenchError, match=r"unknown fragment 'SH'.*COOH \(acid\)"):
        find_fragment("SH")


def test_family_of_is_symmetric():
    assert family_of("COOH", "NH2") == family_of("NH2", "COOH") == "amino acid"
    assert family_of("H", "OH") == "alcohol"
    for family, ends in FAMILIES.items():
        assert family_of(*ends) == family
