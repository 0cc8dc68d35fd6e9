import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.fragments import (
    CORE_FAMILIES,
    FAMILIES,
    FRAGMENTS,
    Fragment,
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
        "amide": ("CONH2", "H"),
        "hydroxy aldehyde": ("OH", "CHO"),
        "diamine": ("NH2", "NH2"),
        "diacid": ("COOH", "COOH"),
        "amino acid": ("NH2", "COOH"),
    }


def test_lengths_of_the_core_families():
    assert {family: (lengths[0], lengths[-1]) for family, lengths in CORE_FAMILIES.items()} == {
        "alkane": (2, 13),
        **dict.fromkeys(("alcohol", "amine", "aldehyde", "acid", "amide"), (2, 15)),
        "hydroxy aldehyde": (2, 13),
        **dict.fromkeys(("diamine", "diacid", "amino acid"), (2, 9)),
    }


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
