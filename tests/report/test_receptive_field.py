import io
import json
import math

import pytest
from rich.console import Console

from compbench_jax.models.registry import MODELS, config_to_json
from compbench_jax.report.receptive_field import (
    read_audit,
    receptive_field,
    receptive_field_line,
    receptive_field_table,
)

ROW = {"atom_divergence": 0.1, "compound_divergence": 0.2, "random_mean": None, "random_std": None}


def audit(first=2):
    profile = [{"radius": r, "novel_mass": 0.1 * r, "z_score": None if r else 1.25, **ROW} for r in range(5)]
    return {"task": "chain_extension", "data": "d", "first_novelty": first, "profile": profile}


def test_radii_within_the_receptive_field_are_marked():
    text = io.StringIO()
    Console(file=text, width=100).print(receptive_field_table(audit(), 4.0))
    rows = [line.split() for line in text.getvalue().splitlines() if line.strip()[:1] in "01234" and line.strip()]
    assert [row[-1] for row in rows] == ["yes", "yes", "yes", "no", "no"]
    assert rows[0][-2] == "+1.2"


@pytest.mark.parametrize(
    ("first", "reach", "words"),
    [
        (2, 10.0, "begin at radius 2, within 3.1 Å; the receptive field is 10.0 Å, about 6 bonds: it contains them"),
        (4, 5.0, "it need not contain them"),
        (None, 5.0, "up to radius 4 is unseen; the receptive field is 5.00 Å"),
        (2, None, "is not known"),
        (2, math.inf, "is the whole molecule"),
    ],
)
def test_novelty_and_reach_in_words(first, reach, words):
    assert words in receptive_field_line(audit(first), reach)


def test_the_receptive_field_is_that_of_the_configuration():
    mace = MODELS["mace"]
    results = {"config": {"model": config_to_json(mace)}}
    assert receptive_field(results) == pytest.approx(mace.receptive_field)
    assert receptive_field({"config": {"model": {"kind": "calculator"}}}) is None
    assert receptive_field({"config": {}}) is None


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[]", '{"task": "t"}', json.dumps(audit("two")), "\0"])
def test_a_damaged_audit_is_left_out_and_said(tmp_path, capsys, content):
    (tmp_path / "audit.json").write_text(content)
    assert read_audit(tmp_path, {"task": "chain_extension", "data": "d"}) is None
    assert "audit.json is damaged and left out" in capsys.readouterr().err


def test_the_audit_of_another_task_is_not_shown(tmp_path):
    results = {"task": "chain_extension", "data": "d"}
    assert read_audit(tmp_path, results) is None
    (tmp_path / "audit.json").write_text(json.dumps(audit()))
    assert read_audit(tmp_path, results)["first_novelty"] == 2
    assert read_audit(tmp_path, {**results, "data": "e"}) is None
