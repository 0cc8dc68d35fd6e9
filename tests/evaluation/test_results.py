import json

import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.evaluation import results as module
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.evaluation.results import (
    REQUIRED,
    SCHEMA_VERSION,
    estimate_of,
    molecule_sums,
    plain,
    read_results,
    section,
    to_json,
    write_results,
)


def minimal(**more):
    return {**dict.fromkeys(REQUIRED, 0), "schema_version": SCHEMA_VERSION, **more}


def refuse_constants(text):
    raise AssertionError(f"{text} is not JSON")


def test_a_section_has_every_metric_with_interval_and_counts():
    block = section(
        {"force_mae": Estimate(0.1, 0.05, 0.2)}, {"n_molecules": 2, "n_frames": 7, "n_atoms": 30, "skipped_atoms": 1}
    )
    assert block == {
        "force_mae": {"value": 0.1, "low": 0.05, "high": 0.2, "n_molecules": 2, "n_frames": 7, "n_atoms": 30},
        "n_molecules": 2,
        "n_frames": 7,
        "n_atoms": 30,
        "skipped_atoms": 1,
    }
    assert estimate_of(block, "force_mae") == Estimate(0.1, 0.05, 0.2)
    assert estimate_of(block, "no such metric") == Estimate(None)


def test_nan_and_infinity_become_null_wherever_they_are():
    value = {"a": float("nan"), "b": [np.float32(np.inf), np.int64(3)], "c": np.array([1.5, np.nan]), "d": (True, None)}
    assert plain(value) == {"a": None, "b": [None, 3], "c": [1.5, None], "d": [True, None]}
    text = to_json(value)
    assert json.loads(text, parse_constant=refuse_constants) == plain(value)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})


def test_written_results_are_read_back_and_one_metric_is_one_line(tmp_path):
    block = section({"force_mae": Estimate(0.1, None, None)}, {"n_molecules": 1, "n_frames": 1, "n_atoms": 9})
    content = minimal(id=block, ood=block, ratio=block, task="fragment_duplication[COOH]", seed=np.int64(3))
    write_results(tmp_path / "results.json", content)
    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == plain(content)
    lines = (tmp_path / "results.json").read_text().splitlines()
    assert sum('"force_mae"' in line for line in lines) == 3
    assert all(line.endswith(("}", "},")) for line in lines if '"force_mae"' in line)


def test_a_required_key_cannot_be_forgotten(tmp_path):
    content = minimal()
    del content["hardware"]
    with pytest.raises(ValueError, match="hardware"):
        write_results(tmp_path / "results.json", content)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_results_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_results(path, minimal(seed=1))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(RunError, match=r"cannot write .*No space left") as caught:
        write_results(path, minimal(seed=2))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist: make it with `python evaluate.py --run"),
        ("{not json", "is not valid JSON"),
        ("[1]", "not a results.json"),
        ('{"task": "x"}', "no schema_version"),
        (json.dumps({**minimal(), "schema_version": 99}), "upgrade compbench_jax"),
        (json.dumps({k: v for k, v in minimal().items() if k != "ood"}), "lacks ood"),
    ],
)
def test_bad_results_are_one_clear_line(tmp_path, content, message):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=message) as caught:
        read_results(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_molecule_sums_are_read_back_in_order_or_refused():
    stored = {"columns": ["a", "b"], "id": {"KEY-2": [1, 2], "KEY-1": [3, 4]}, "ood": {}}
    keys, sums = molecule_sums({"molecule_sums": stored}, "id", ("a", "b"))
    assert keys == ["KEY-2", "KEY-1"]
    np.testing.assert_array_equal(sums, [[1, 2], [3, 4]])
    assert molecule_sums({"molecule_sums": stored}, "ood", ("a", "b"))[1].shape == (0, 2)
    for bad in ({}, {"molecule_sums": {"columns": ["a"], "id": stored["id"]}}, {"molecule_sums": 3}):
        with pytest.raises(RunError, match=r"rerun evaluate\.py"):
            molecule_sums({**bad, "model": "m", "task": "t"}, "id", ("a", "b"))
