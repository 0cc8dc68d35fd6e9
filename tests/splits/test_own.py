"""Splits of one's own: written, read, refused with a line, and used by training and evaluation."""

import json

import numpy as np
import pytest
from toy_store import make_store

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import TaskError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.splits.own import OwnSplit, ranges_of
from compbench_jax.splits.split import PARTS
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task, task_of_run


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "data"
    make_store(folder)
    return folder


def written(tmp_path, **content):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"format": "compbench-split", "version": 1, "name": "mine", **content}))
    return path


def test_molecules_are_those_named(data, tmp_path):
    store = open_store(data)
    path = written(tmp_path, molecules={"train": ["ay", "KEY-bee", "cee"], "ood_test": ["dee"]})
    split = get_task(f"split({path})").split(store)
    names = {part: {store.graphs[m].molecule.name for m in store.molecule[f]} for part, f in split.parts().items()}
    assert names["train"] == names["id_test"] == {"ay", "bee", "cee"} and names["ood_test"] == {"dee"}
    assert split.task == "split(mine)" and split.molecule_disjoint
    assert get_task(f"control_random(split({path}))").split(store).task == "control_random(split(mine))"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "neither molecules nor frames"),
        ({"molecules": {"train": ["ay"], "ood_test": ["dea"]}}, "no molecule 'dea': did you mean 'dee'"),
        ({"molecules": {"train": ["ay"], "ood_test": ["ay"]}}, "is also the training molecule"),
        ({"molecules": {"train": ["ay"]}}, "must have the lists train, ood_test"),
        ({"frames": {part: [[0, 5]] for part in PARTS}}, "is in train and again in validation"),
        ({"frames": {part: [[k, k + 1]] for k, part in enumerate(PARTS)} | {"train": [5]}}, "give ranges of frames"),
        ({"frames": {part: [[k, k + 1]] for k, part in enumerate(PARTS)} | {"train": [[0, 10**9]]}}, "not in"),
        ({"frames": {part: [[k, k + 1]] for k, part in enumerate(PARTS)}, "data": "0" * 64}, "another data set"),
        ({"name": "../x", "molecules": {"train": ["ay"], "ood_test": ["dee"]}}, "its name is '../x'"),
        ({"version": 2}, "is of version 2"),
        ({"format": "x"}, "it has no format"),
    ],
)
def test_what_is_wrong_is_one_line(data, tmp_path, content, message):
    with pytest.raises(TaskError, match=message) as caught:
        OwnSplit(str(written(tmp_path, **content))).split(open_store(data))
    assert "\n" not in str(caught.value)


def test_ranges_are_short_and_whole():
    frames = np.array([0, 1, 2, 7, 9, 10])
    assert ranges_of(frames) == [[0, 3], [7, 8], [9, 11]] and ranges_of(frames[:0]) == []


@pytest.mark.parametrize(
    ("words", "disjoint"),
    [(("--random-frames",), False), (("--by-molecule", "--held-out", "0.3"), True), (("--molecules", "dee"), True)],
)
def test_splits_are_made(data, tmp_path, capsys, words, disjoint):
    out = tmp_path / "my-split.json"
    assert code("split", data, "--out", out, *words, "--seed", "1") == 0
    printed = capsys.readouterr().out
    assert "ood_test" in printed and f"compbench train --split {out}" in printed
    store = open_store(data)
    split = OwnSplit(str(out)).split(store)
    assert (split.task, split.molecule_disjoint) == ("split(my-split)", disjoint)
    assert sum(map(len, split.parts().values())) == store.n_frames
    assert code("split", data, "--out", out, *words) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give one of --random-frames"),
        (("--by-molecule", "--held-out", "2"), "between 0 and 1"),
        (("--by-family", "diol", "--seed", "-1"), "--seed is -1"),
        (("--by-family", "diox"), "no family 'diox'"),
        (("--molecules", "gold"), "no molecule 'gold'"),
    ],
)
def test_bad_words_are_one_line(data, tmp_path, capsys, words, message):
    assert code("split", data, "--out", tmp_path / "x.json", *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_run_is_trained_and_evaluated_on_it(data, tmp_path, capsys):
    split, run = tmp_path / "mine.json", tmp_path / "run"
    assert code("split", data, "--out", split, "--molecules", "dee", "ee") == 0
    model = ("model:schnet", "--model.features", "8", "--model.interactions", "1", "--model.n-basis", "4")
    train = ("train", "--data", data, "--out", run, "--steps", "2", "--batch-size", "2")
    assert code(*train, *model) == 2
    assert "give one of --task TASK" in capsys.readouterr().err
    assert code(*train, "--split", split, *model) == 0
    split.unlink()  # the run has its own
    assert task_of_run("split(mine)", run, "split(mine)").split(open_store(data)).task == "split(mine)"
    assert code("evaluate", "--run", run) == 0
    results = read_results(run)
    assert (results["task"], results["role"]) == ("split(mine)", "task")
    assert {m.name for m in results.tested("ood").molecules} == {"dee", "ee"}
    for words in (("explain", run), ("report", run, "--out", tmp_path / "site"), ("table", run)):
        assert code(*words) == 0
    assert (tmp_path / "site" / "task-split-mine.html").exists()
