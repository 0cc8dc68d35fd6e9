import json

import pytest

from compbench_jax.cli.molecules import Arguments, run
from compbench_jax.errors import CompBenchError


def test_json_lists_every_field_of_every_molecule(capsys):
    run(Arguments(json=True))
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == 118
    assert listed[0] == {
        "name": "ethane",
        "smiles": "CC",
        "inchikey": "OTMSDBZUPAUEDD-UHFFFAOYSA-N",
        "formula": "C2H6",
        "family": "alkane",
        "n": 2,
        "ends": ["H", "H"],
    }


def test_extended_registry_and_family_filter(capsys):
    run(Arguments(registry="extended", json=True))
    assert len(json.loads(capsys.readouterr().out)) == 262
    run(Arguments(family="amino acid", json=True))
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == 8
    assert {entry["family"] for entry in listed} == {"amino acid"}


def test_table_cuts_no_cell(capsys):
    run(Arguments(family="diacid"))
    out = capsys.readouterr().out
    assert "8 molecules" in out
    for text in (
        "nonanedioic acid",
        "O=C(O)CCCCCCCC(=O)O",
        "OFOBLEOULBTSOW-UHFFFAOYSA-N",
        "COOH / COOH",
    ):
        assert text in out


def test_table_reads_smiles_literally(capsys):
    run(Arguments(family="acid"))
    assert "CC(=O)O" in capsys.readouterr().out


def test_unknown_family_names_the_known_ones():
    with pytest.raises(CompBenchError, match=r"no family 'ketone' in the core registry.*amino acid"):
        run(Arguments(family="ketone"))


def test_extension_family_is_not_in_the_core():
    with pytest.raises(CompBenchError, match="hydroxy acid"):
        run(Arguments(family="hydroxy acid"))
    run(Arguments(registry="extended", family="hydroxy acid"))
