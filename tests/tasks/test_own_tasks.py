"""Tasks in a Python file of the user's: named everywhere a task is, refused with a line, kept by the run."""

import json

import pytest
from toy_store import make_store

import compbench_jax as cb
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.cli.validate import canonical
from compbench_jax.errors import TaskError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.own_code import load_files, loaded_files
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task, task_of_run

FILE = '''
from __future__ import annotations

from dataclasses import dataclass

from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.tasks import Task


@dataclass(frozen=True)
class Heavier(Task):
    """Train on few heavy atoms, test on more."""

    kind = "heavier"
    principle = "size"
    question = "Does a potential of small molecules know larger ones?"
    trained_on = "at most {most} heavy atoms"
    tested_on = "more"

    most: int = 4

    def select(self, graphs):
        heavy = [int((graph.numbers > 1).sum()) for graph in graphs]
        few = tuple(k for k, n in enumerate(heavy) if n <= self.most)
        return MoleculeSplit(few, tuple(k for k in range(len(graphs)) if k not in few))


class Helper:
    pass


@dataclass(frozen=True)
class Broken(Heavier):
    kind = "broken"

    def select(self, graphs):
        return graphs.nothing
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my tasks" / "my_task.py"
    path.parent.mkdir()
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "data"
    make_store(folder)
    return folder


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


def test_a_task_of_a_file_is_a_task(file, data):
    task = cb.get_task(f"{file}:Heavier[3]")
    assert (task.name, task.most) == ("own(heavier[3])", 3)
    assert get_task(f" {file}:Heavier [ 3 ] ") == task != get_task(f"{file}:Heavier")
    store = open_store(data)
    assert {store.graphs[m].molecule.name for m in task.molecules(store.graphs).train} == {"ay", "bee"}
    control = get_task(f"control_random({file}:Heavier[3],seed=2)")
    assert control.name == "control_random(own(heavier[3]),seed=2)" and control.split(store).task == control.name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{missing}:Heavier", "there is no file .*missing.py"),
        ("{file}:Heavy", "has no class 'Heavy': did you mean 'Heavier'"),
        ("{file}:Helper", "is no task: derive a frozen"),
        ("{file}:Task", "is no task: derive a frozen"),
        ("{file}", "is not a task: write NAME"),
        ("{file}:Heavier[x]", "the parameter most is 'x': give a number"),
        ("{file}:Heavier[1,2]", "this task takes 1 parameter"),
        ("{file}:Heavier[]", "has an empty parameter"),
        ("{syntax}:Heavier", r"cannot be run: line 2: SyntaxError"),
        ("{raises}:Heavier", r"cannot be run: line 1: ZeroDivisionError: division by zero"),
        ("{leaves}:Heavier", r"cannot be run: line 1: SystemExit"),
        ("{nameless}:Nameless", r"cannot be run: line 3: TypeError: task Nameless has no kind"),
        ("own(heavier[3])", "give that as FILE.py:CLASS"),
    ],
)
def test_what_is_wrong_is_one_line(file, capsys, name, message):
    others = {
        "syntax": "x = 1\nclass (\n",
        "raises": "1 / 0\n",
        "leaves": "raise SystemExit\n",
        "nameless": "from compbench_jax.tasks import Task\n\nclass Nameless(Task):\n    pass\n",
    }
    for key, text in others.items():
        file.with_name(f"{key}.py").write_text(text)
    places = {key: file.with_name(f"{key}.py") for key in (*others, "missing")}
    with pytest.raises(TaskError, match=message) as caught:
        get_task(name.format(file=file, **places))
    assert "\n" not in str(caught.value)
    assert code("audit", name.format(file=file, **places), "--data", "nowhere") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_rule_that_fails_is_one_line(file, data):
    with pytest.raises(TaskError, match=r"own\(broken\[4\]\): its rule fails: line 37: AttributeError") as caught:
        get_task(f"{file}:Broken").split(open_store(data))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("kept_programs")
def test_commands_take_it_and_a_run_keeps_its_split(file, data, tmp_path, capsys):
    task, run, out = f"{file}:Heavier[4]", tmp_path / "run", tmp_path / "split.json"
    assert code("tasks", task, "--data", data) == 0
    assert "at most 4 heavy atoms" in capsys.readouterr().out
    assert code("audit", task, "--data", data, "--draws", "2") == code("split", data, "--task", task, "--out", out) == 0
    train = ("train", "--data", data, "--task", task, "--batch-size", "2", "--out")
    assert code(*train, run, "--with-controls", "model:composition") == 0
    assert code(*train, tmp_path / "other", "model:nearest") == 0
    frames = json.loads(out.read_text())["frames"]
    assert json.loads((run / "own_split.json").read_text())["frames"] == frames
    file.unlink()  # the runs have their own splits
    assert code("evaluate", "--run", run, "--with-controls") == 0
    found = read_results(run)
    assert (found["task"], found["role"]) == ("own(heavier[4])", "task")
    assert read_results(tmp_path / "run-oracle")["task"] == "oracle(own(heavier[4]))"
    assert str(cb.evaluate(run, cb.load_data(data))).splitlines()[0].strip()
    assert code("evaluate", "--run", tmp_path / "other") == 0
    site = ("report", run, "--out", tmp_path / "site")
    for words in (("explain", run), ("table", run), site, ("compare", run, tmp_path / "other")):
        assert code(*words) == 0
    assert (tmp_path / "site" / "task-own-heavier-4.html").exists()


def test_names_in_results_and_runs_of_others_run_no_code(file, tmp_path):
    file.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    for name in (
        f"{file}:Heavier",
        f"oracle({file}:Heavier)",
        f"control_random({file}:Heavier,seed=3)",
        "split(x.json)",
    ):
        with pytest.raises(TaskError, match=r"in a file of its author's"):
            canonical(name)
        with pytest.raises(TaskError, match=r"in a file of its author's"):
            task_of_run(name, tmp_path, name)
    with pytest.raises(TaskError, match="no task of the benchmark"):
        canonical("random_frames")
    assert not (tmp_path / "ran").exists()


def test_a_process_of_the_pool_does_without_files_that_are_gone(file):
    get_task(f"{file}:Heavier")
    assert file in loaded_files()
    file.unlink()
    load_files(loaded_files())
