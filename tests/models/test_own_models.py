"""A potential in a file of the user's: trained, evaluated, exported from there, and refused once the file differs."""

import json
from pathlib import Path

import pytest
from toy_store import make_store

import compbench_jax as cb
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.models.registry import config_from_json, config_to_json, own_preset

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_model.py"

pytestmark = pytest.mark.usefixtures("kept_programs")


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(EXAMPLE.read_text())
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "data"
    make_store(folder)
    return folder


def arguments(data, run, *more):
    task = Path(__file__).parents[2] / "examples" / "my_task.py"
    words = ("--data", data, "--task", f"{task}:SmallToLarge[6]", "--steps", "2", "--batch-size", "2", "--out", run)
    return ("train", *words, *more)


def test_it_is_trained_evaluated_and_loaded(file, data, tmp_path, capsys):
    run = tmp_path / "run"
    assert code(*arguments(data, run), f"model:{file}:PairConfig", "--model.terms", "5") == 0
    config = json.loads((run / "config.json").read_text())
    assert (config["preset"], config["model"]["model"], config["model"]["terms"]) == ("pairs", "pairs", 5)
    assert (config["model"]["code"]["file"], config["model"]["code"]["class"]) == (str(file), "PairConfig")
    assert code("evaluate", "--run", run, "--workers", "2") == 0
    assert read_results(run)["model"] == "pairs"
    assert code("explain", run) == code("report", run, "--out", tmp_path / "site") == 0
    loaded = cb.load_data(data)
    assert cb.load_potential(run).run.potential.module.config.terms == 5
    assert cb.Calculator(run) is not None and cb.evaluate(run, loaded)["ood"]["force_mae"]["value"] > 0
    more = tmp_path / "more"
    assert code(*arguments(data, more), "--config", run / "config.json") == 0
    assert json.loads((more / "config.json").read_text())["model"] == config["model"]
    assert (
        code(*arguments(data, tmp_path / "tuned"), "--init-from", run, f"model:{file}:PairConfig", "--model.terms", 5)
        == 0
    )

    moved = tmp_path / "elsewhere" / "my_model.py"
    moved.parent.mkdir()
    file.rename(moved)
    capsys.readouterr()
    assert code("evaluate", "--run", run) == 2
    error = capsys.readouterr().err
    assert f"is in {file}, which is gone" in error and error.count("\n") == 1
    file.write_text(moved.read_text() + "\n# another\n")
    assert code("evaluate", "--run", run) == 2
    error = capsys.readouterr().err
    assert f"{file}, where the potential PairConfig is, has changed" in error and error.count("\n") == 1
    with pytest.raises(CompBenchError, match="has changed"):
        cb.load_potential(run)


def test_it_is_found_in_the_present_folder(file, monkeypatch):
    content = config_to_json(own_preset(f"{file}:PairConfig"))
    moved = file.parent / "elsewhere" / "my_model.py"
    moved.parent.mkdir()
    file.rename(moved)
    monkeypatch.chdir(moved.parent)
    assert config_to_json(config_from_json(content, run_code=True))["code"]["file"] == str(moved)


def test_results_of_others_run_no_code(file, tmp_path):
    content = config_to_json(own_preset(f"{file}:PairConfig"))
    file.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with pytest.raises(CompBenchError, match="unknown to this version: it is in a file of its author's"):
        config_from_json(content)
    with pytest.raises(CompBenchError, match="has changed"):
        config_from_json(content, run_code=True)
    assert not (tmp_path / "ran").exists()


def test_python_takes_its_class_and_its_name(file, data, tmp_path, monkeypatch):
    loaded = cb.load_data(data)
    task = cb.get_task(f"{EXAMPLE.parent / 'my_task.py'}:SmallToLarge[6]")
    settings = {"steps": 2, "batch_size": 2}
    first = cb.train(f"{file}:PairConfig", loaded, task, out=tmp_path / "a", **settings)
    monkeypatch.syspath_prepend(file.parent)
    renamed = file.rename(file.with_name("imported_model.py"))
    import imported_model

    second = cb.train(imported_model.PairConfig(terms=4), loaded, task, out=tmp_path / "b", **settings)
    assert json.loads((second / "config.json").read_text())["model"]["code"]["file"] == str(renamed)
    assert str(cb.evaluate(second, loaded)) and (first / "log.jsonl").exists()

    monkeypatch.setattr(imported_model.PairConfig, "__module__", "__main__")
    with pytest.raises(CompBenchError, match="PairConfig is part of the running program"):
        cb.train(imported_model.PairConfig(), loaded, task, out=tmp_path / "c", **settings)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("PairConfig", "PearConfig", "has no class 'PairConfig': did you mean 'PearConfig'"),
        ("@dataclass(frozen=True)", "", "PairConfig is no configuration of a potential"),
        ("def build", "def built", "PairConfig is no configuration of a potential"),
        ("cutoff: float = 4.0", "cutoff: float", "every setting needs a default"),
        ("return self.cutoff", "return 0.0", "its receptive_field is 0.0"),
        ('"pairs"', '"mace"', "its kind 'mace' is that of a potential of this package"),
        ('"pairs"', '"../x"', "its kind is '../x'"),
        ("terms: int = 8", "terms: int = 8\n    code: int = 8", "a setting cannot be called 'code'"),
        ("import jax.numpy", "import jax.numppy", "cannot be run: line 7: ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_is_one_line(file, data, tmp_path, capsys, old, new, message):
    file.write_text(file.read_text().replace(old, new))
    assert code(*arguments(data, tmp_path / "run"), f"model:{file}:PairConfig") == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "run").exists()


def test_its_name_needs_file_and_class(file, data, tmp_path, capsys):
    for name in (f"{file}", f"{file.parent}/other.py:PairConfig"):
        assert code(*arguments(data, tmp_path / "run"), f"model:{name}") == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert code("models", "mace", f"{file}:PairConfig") == 0
    assert "1 × 4 = 4" in capsys.readouterr().out
    assert code("models", "mase") == 2
    assert "did you mean 'mace'" in capsys.readouterr().err
