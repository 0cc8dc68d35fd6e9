"""A potential in a file of the user's: trained, evaluated, exported from there, and refused once the file differs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from toy_store import make_store

import compbench_jax as cb
from compbench_jax import own_code
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.models.registry import config_from_json, config_to_json, own_preset
from compbench_jax.own_code import read_source
from compbench_jax.report.leaderboard import read_sources
from compbench_jax.report.submit import write_submission

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


def test_it_is_trained_evaluated_and_loaded(file, data, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    assert code(*arguments(data, run), f"model:{file}:PairConfig", "--model.terms", "5") == 0
    config = json.loads((run / "config.json").read_text())
    assert (config["preset"], config["model"]["model"], config["model"]["terms"]) == ("pairs", "pairs", 5)
    assert (config["model"]["code"]["file"], config["model"]["code"]["class"]) == ("my_model.py", "PairConfig")
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

    # The run has a copy, works where it is moved to, and is refused once the copy is touched.
    file.unlink()
    moved = run.rename(tmp_path / "elsewhere")
    monkeypatch.setattr(own_code, "_loaded", {})  # as in another process
    assert code("evaluate", "--run", moved) == 0
    copy = moved / "my_model.py"
    copy.write_text(EXAMPLE.read_text() + "\n# another\n")
    monkeypatch.setattr(own_code, "_loaded", {})
    for change, message in ((lambda: None, "has changed since"), (copy.unlink, "is gone: put it back")):
        change()
        capsys.readouterr()
        assert code("evaluate", "--run", moved) == 2
        error = capsys.readouterr().err
        assert f"{copy}, where the potential PairConfig is, {message}" in error and error.count("\n") == 1
        with pytest.raises(CompBenchError, match=message):
            cb.load_potential(moved)


def test_files_next_to_it_go_with_the_run(file, data, tmp_path):
    """A module and a package that the file imports are copied; another module of that name is refused."""
    (file.parent / "my_layers").mkdir()
    (file.parent / "my_layers" / "__init__.py").write_text("from my_constants import WIDTH\n")
    (file.parent / "my_constants.py").write_text("WIDTH = 1.0\n")
    file.write_text(file.read_text().replace("from dataclasses", "from my_layers import WIDTH\nfrom dataclasses"))
    run = tmp_path / "run"
    assert code(*arguments(data, run), f"model:{file}:PairConfig") == 0
    names = ("my_model.py", "my_layers/__init__.py", "my_constants.py")
    assert all((run / name).read_bytes() == (file.parent / name).read_bytes() for name in names)
    recorded = json.loads((run / "config.json").read_text())["model"]["code"]
    assert recorded["sha256"] == read_source(run / "my_model.py").sha256 != read_source(EXAMPLE).sha256
    for name in names:
        (file.parent / name).unlink()
    fresh = "import sys, compbench_jax as cb; cb.Calculator(sys.argv[1])"
    subprocess.run([sys.executable, "-c", fresh, str(run)], check=True, cwd=tmp_path)
    (run / "my_constants.py").write_text("WIDTH = 2.0\n")
    with pytest.raises(CompBenchError, match=r"imports another file of this name"):
        own_preset(f"{run / 'my_model.py'}:PairConfig")


def test_a_run_of_before_has_the_path_of_the_file(file, tmp_path, monkeypatch):
    content = config_to_json(own_preset(f"{file}:PairConfig"))
    assert content["code"]["file"] == "my_model.py"
    content["code"] |= {"file": str(file)}
    monkeypatch.setattr(own_code, "_loaded", {})
    assert config_from_json(content, tmp_path / "nothing").terms == 8


def test_a_submission_names_no_folders(file, data, tmp_path):
    run = tmp_path / "run"
    assert code(*arguments(data, run), f"model:{file}:PairConfig") == code("evaluate", "--run", run) == 0
    config = json.loads((run / "config.json").read_text())
    assert config["data"] == str(data) and config["model"]["code"]["file"] == "my_model.py"
    write_submission(read_sources([run]), tmp_path / "mine", "Mine", "A test.", "none")
    texts = [path.read_text() for path in (tmp_path / "mine").rglob("*.json*")]
    assert len(texts) == 6 and not [text for text in texts if str(tmp_path) in text or str(data.parent) in text]
    assert sum('"data": "data"' in text or '"data":"data"' in text for text in texts) == 2


def test_results_of_others_run_no_code(file, tmp_path, monkeypatch):
    content = config_to_json(own_preset(f"{file}:PairConfig"))
    file.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with pytest.raises(CompBenchError, match="unknown to this version: it is in a file of its author's"):
        config_from_json(content)
    monkeypatch.setattr(own_code, "_loaded", {})
    with pytest.raises(CompBenchError, match="has changed"):
        config_from_json(content, file.parent)
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
    assert json.loads((second / "config.json").read_text())["model"]["code"]["file"] == renamed.name
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
