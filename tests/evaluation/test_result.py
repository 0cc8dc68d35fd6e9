"""The stored result: read back as it was, refused with one line, and read from files of before."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from toy_store import make_run, make_split, make_store

from compbench_jax import files as module
from compbench_jax.errors import RunError
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.result_file import encode, read_result, write_result
from compbench_jax.evaluation.settings import Settings
from compbench_jax.metrics.aggregate import SUM_COLUMNS

OLD = Path(__file__).with_name("results_version_1")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    store = make_store(tmp_path_factory.mktemp("toy") / "store")
    return evaluate(make_run(store), store, make_split(store), Settings()).results.result


def test_a_result_is_read_back_as_it_was_and_a_row_is_a_line(result, tmp_path):
    write_result(tmp_path / "results.json", result)
    assert read_result(tmp_path) == read_result(tmp_path / "results.json") == result
    text = (tmp_path / "results.json").read_text()
    content = json.loads(text)
    assert (content["format"], content["version"]) == ("compbench-results", 2)
    first = json.dumps(content["ood"]["sums"][0], separators=(",", ":"))
    assert first in [line.rstrip(",") for line in text.splitlines()]
    # A second writing changes no digit.
    assert encode(read_result(tmp_path)).decode() == text


def test_a_full_disk_leaves_the_old_result_and_says_so(result, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_result(path, result)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(RunError, match=r"cannot write .*No space left") as caught:
        write_result(path, msgspec.structs.replace(result, seed=2))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def changed(content, place, value):
    """JSON content with another value at a place like ``ood/sums/0``; None takes the entry out."""
    *keys, last = [int(key) if key.isdecimal() else key for key in place.split("/")]
    part = content
    for key in keys:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return content


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("format", "other", "it has no format"),
        ("version", 99, "upgrade"),
        ("ood", None, "missing required field `ood`"),
        ("force_mae", 0.1, "unknown field `force_mae`"),
        ("kind", "magic", "Invalid enum value 'magic'"),
        ("seed", "0", "Expected `int`, got `str`"),
        ("id/sums/0/1", "small", "Expected `float | null`"),
        ("id/sums/0", [1.0], "not one row"),
        ("ood/molecules", [], "ood has no molecules"),
        ("ood/molecules/1/inchikey", "KEY-dee", "a molecule twice"),
        ("ood/groups/force/0–0.25", {"77": [1.0]}, "has a row of no molecule"),
    ],
)
def test_a_damaged_result_is_one_clear_line(result, tmp_path, place, value, message):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(changed(json.loads(encode(result)), place, value)))
    with pytest.raises(RunError, match=message.replace("|", "\\|")) as caught:
        read_result(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist: make it with"), ("{not json", "not valid JSON"), ("[1]", "not a results.json")],
)
def test_a_file_that_is_no_result_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=message) as caught:
        read_result(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_column_that_a_file_of_before_lacks_is_no_number(result):
    """A new metric leaves stored results readable: it is a dash there, and the others keep their values."""
    squared = SUM_COLUMNS.index("squared_force")

    def without(part):
        return msgspec.structs.replace(part, sums=[[x for k, x in enumerate(row) if k != squared] for row in part.sums])

    columns = msgspec.structs.replace(result.columns, frames=[name for name in SUM_COLUMNS if name != "squared_force"])
    old = Derived(msgspec.structs.replace(result, columns=columns, id=without(result.id), ood=without(result.ood)))
    assert np.isnan(old.sums("ood")[:, squared]).all()
    assert old["ood"]["force_rmse"]["value"] is None and old["ratio"]["force_rmse"]["value"] is None
    assert old["ood"]["force_mae"] == Derived(result)["ood"]["force_mae"]


def test_version_1_is_read_with_the_numbers_that_it_stored():
    """A file of before, and where.json next to it: every value is that of its sums."""
    stored = json.loads((OLD / "results.json").read_text())
    results = Derived(read_result(OLD))
    assert (stored["schema_version"], results["version"]) == (1, 2)
    assert (results["role"], results["kind"]) == ("task", "trained")
    for part in ("id", "ood", "ratio"):
        for name, block in stored[part].items():
            if isinstance(block, dict):
                assert results[part][name]["value"] == pytest.approx(block["value"], rel=1e-5), (part, name)
    renamed = {"novel": "unseen", "known": "seen"}
    for by in ("by_n", "by_element", "by_end_fragment", "by_ch2", "by_force", "by_distance", "by_contact"):
        for part, groups in stored[by].items():
            assert len(results[by][part]) == len(groups), (by, part)
            for group, block in groups.items():
                own = results[by][part][renamed.get(group, group)]
                assert own["force_mae"]["value"] == pytest.approx(block["force_mae"]["value"], rel=1e-4), (by, group)
                assert own["n_atoms"] == block["n_atoms"]
