"""``evaluate.py`` from the command line on a run of a few steps, and what it says to bad input."""

import gzip
import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import toy_store
from made_up_run import save_members, start_run

from compbench_jax.cli.evaluate import wire
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.evaluation.derived import read_results
from compbench_jax.store.store import open_store
from compbench_jax.training import configuration

ALKANES = tuple(("alkane-" + str(n), "alkane", n, ("H", "H"), (1, *[6] * n, 1)) for n in (2, 3, 7, 8))
ALCOHOLS = tuple(("alcohol-" + str(n), "alcohol", n, ("OH", "H"), (1, 8, *[6] * n, 1)) for n in (2, 3, 7))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a store, and a run whose best parameters (after step 2) are not its latest (after step
    4).

    The run is written by what the training room writes runs with, but for the training.
    """
    folder = tmp_path_factory.mktemp("program")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_store, "MOLECULES", ALKANES + ALCOHOLS)
        store = toy_store.make_store(folder / "store")
        toy_store.make_store(folder / "other", seed=1)
    run = folder / "run"
    settings, init = start_run(run, store, folder / "store", cutoff=2.5)
    best, latest = map(init, (0, 1))
    save_members(run, [best], [latest])
    together = folder / "together"
    shutil.copytree(run, together, ignore=shutil.ignore_patterns("checkpoints"))
    configuration.write(together / configuration.FILE, replace(settings, seeds=2, learning_rates=(1e-3, 1e-2)))
    save_members(together, [latest, best, best, latest], [latest] * 4)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run, to be evaluated or spoilt."""
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path / "run"


def evaluate(monkeypatch, *words):
    """Exit code of ``python evaluate.py`` with these words, in this process."""
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *(str(word) for word in words)])
    return exit_code_of(wire)


def test_a_run_is_evaluated_reported_and_drawn(run, monkeypatch, capsys):
    assert not (run / "audit.json").exists()
    assert evaluate(monkeypatch, "--run", run, "--samples", "50", "--split-out", run / "split") == 0
    printed = capsys.readouterr().out
    results = read_results(run)
    assert (results["task"], results["model"], results["seed"]) == ("chain_extension", "schnet", 5)
    assert results["config"]["steps"] == 4
    assert [b["n"] for b in results["by_molecule"]["ood"].values()] == [7, 8]
    for what in ("force MAE (meV/Å)", "OOD / ID", "by number of carbons", str(run / "results.json")):
        assert what in printed
    assert json.loads((run / "audit.json").read_text())["task"] == "chain_extension"
    assert (run / "force_mae_by_n.png").stat().st_size > 10_000
    forces = np.load(run / "predictions" / "ood_forces.npy", allow_pickle=False)
    assert forces.shape == (results["ood"]["n_atoms"], 3)
    train = np.load(run / "split" / "train.npy", allow_pickle=False)
    assert len(train) == results["train"]["n_frames"]
    store = open_store(results["config"]["data"])
    frames = np.load(run / "predictions" / "ood_frames.npy", allow_pickle=False)
    errors = np.abs(forces - store.gather(frames).forces).mean()
    assert results["ood"]["force_mae"]["value"] == pytest.approx(errors, rel=1e-4)


def test_a_trace_of_the_evaluation_is_written_and_nothing_else(run, monkeypatch, capsys):
    before = {path.name for path in run.iterdir()}
    assert evaluate(monkeypatch, "--run", run, "--profile") == 0
    (trace,) = (run / "profile" / "evaluation").glob("plugins/profile/*/perfetto_trace.json.gz")
    assert str(trace) in capsys.readouterr().out
    names = [event.get("name") for event in json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]]
    assert "batch" in names and {path.name for path in run.iterdir()} - before == {"profile"}
    assert evaluate(monkeypatch, "--foundation", "so3lr", "--task", "t", "--data", "d", "--profile") == 2
    assert "--profile traces a run of ours" in capsys.readouterr().err


def test_best_and_latest_parameters_can_both_be_asked_for(run, monkeypatch):
    found = {}
    for which in ("best", "latest"):
        words = ("--run", run, "--which", which, "--samples", "9", "--out", run / which)
        assert evaluate(monkeypatch, *words) == 0
        found[which] = read_results(run / which)
    assert [item["checkpoint_step"] for item in found.values()] == [2, 4]
    errors = [item["ood"]["force_mae"]["value"] for item in found.values()]
    assert errors[0] != errors[1]
    assert not (run / "results.json").exists()


def test_members_are_evaluated_each_and_as_an_ensemble(run, trained, monkeypatch):
    together = run.parent / "together"
    shutil.copytree(trained / "together", together)
    assert evaluate(monkeypatch, "--run", together, "--samples", "9") == 0
    results = read_results(together)
    block = results["members"]
    assert (block["chosen"], block["learning_rate"], results["seed"]) == (2, 1e-2, 5)
    assert [item["seed"] for item in block["trained"]] == [5, 6, 5, 6]
    assert sorted(p.name for p in (together / "members").iterdir()) == ["2", "3", "ensemble"]
    alone = [read_results(together / "members" / name) for name in ("2", "3", "ensemble")]
    values = [item["ood"]["force_mae"]["value"] for item in alone]
    two, three, both = (item["ood"]["force_rmse"]["value"] for item in alone)
    assert results["ood"]["force_rmse"]["value"] == two
    assert both < max(two, three)
    folders = [together / "members" / name / "predictions" for name in ("2", "3", "ensemble")]
    two, three, mean = (np.load(folder / "ood_forces.npy", allow_pickle=False) for folder in folders)
    np.testing.assert_allclose(mean, (two + three) / 2, rtol=1e-4, atol=1e-5)
    store = open_store(results["config"]["data"])
    frames = np.load(together / "members" / "2" / "predictions" / "ood_frames.npy", allow_pickle=False)
    spread = np.sqrt(np.mean((two - three) ** 2 / 2))
    error = np.sqrt(np.mean((mean - store.gather(frames).forces) ** 2))
    found = block["uncertainty"]["forces"]["ood"]
    assert (block["uncertainty"]["n_members"], found["n_items"]) == (2, len(mean))
    assert found["error_over_spread"]["value"] == pytest.approx(error / spread, rel=1e-3)
    assert -1 <= found["spearman"]["value"] <= 1
    # The chosen member has the parameters of the run of one.
    assert evaluate(monkeypatch, "--run", run, "--samples", "9") == 0
    np.testing.assert_array_equal(two, np.load(run / "predictions" / "ood_forces.npy", allow_pickle=False))
    assert evaluate(monkeypatch, "--run", together, "--samples", "9", "--member", "3", "--out", run / "three") == 0
    single = read_results(run / "three")
    assert (single["seed"], single["ood"]["force_mae"]["value"]) == (6, values[1])
    assert "members" not in single


def test_another_task_goes_to_its_own_folder_and_says_what_the_run_has_seen(run, trained, monkeypatch, capsys):
    words = ("--run", run, "--samples", "9", "--task", "oracle(chain_extension)")
    assert evaluate(monkeypatch, *words) == 0
    assert not (run / "results.json").exists()
    results = read_results(run / "evaluations" / "oracle-chain_extension")
    assert results["task"] == "oracle(chain_extension)"
    assert "trained on" not in capsys.readouterr().err
    assert evaluate(monkeypatch, *words[:-1], "control_random(chain_extension)") == 0
    assert "the run was trained on" in capsys.readouterr().err


def test_without_matplotlib_the_numbers_still_come(run, monkeypatch, capsys):
    from compbench_jax.errors import CompBenchError

    def missing(*_):
        raise CompBenchError("drawing figures needs the package 'matplotlib'")

    monkeypatch.setattr("compbench_jax.report.drawing.optional_import", missing)
    assert evaluate(monkeypatch, "--run", run, "--samples", "9") == 0
    assert "not drawn: drawing figures needs" in capsys.readouterr().out
    assert (run / "results.json").exists()


def no_checkpoint(run, trained):
    shutil.rmtree(run / "checkpoints")
    return ["--run", run]


def no_run(run, trained):
    return ["--run", run / "nowhere"]


def other_data(run, trained):
    return ["--run", run, "--data", trained / "other"]


def no_data(run, trained):
    return ["--run", run, "--data", trained / "nowhere"]


def no_such_task(run, trained):
    return ["--run", run, "--task", "chain_extention"]


def no_workers(run, trained):
    return ("--run", run, "--workers", "-1")


def traced_workers(run, trained):
    return ("--run", run, "--profile", "--workers", "2")


def no_samples(run, trained):
    return ["--run", run, "--samples", 0]


def other_frames(run, trained):
    content = json.loads((run / "split.json").read_text())
    content["sets"]["train"]["sha256"] = "0" * 64
    (run / "split.json").write_text(json.dumps(content))
    return ["--run", run]


def damaged_split(run, trained):
    (run / "split.json").write_text("{}")
    return ["--run", run]


def unknown_element(run, trained):
    return ["--run", run, "--task", "chain_extension[alcohol]"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_checkpoint, "has no checkpoint"),
        (no_run, "there is no run at"),
        (other_data, "is not the data that the run was trained on"),
        (no_data, "no data set at"),
        (no_such_task, "did you mean 'chain_extension'"),
        (no_samples, "--samples is 0"),
        (no_workers, "--workers is -1"),
        (traced_workers, "leave out --workers"),
        (other_frames, "names other frames than the task chain_extension now yields"),
        (damaged_split, "is damaged"),
        (unknown_element, "contains O, the potential knows only"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_no_results(run, trained, monkeypatch, capsys, spoil, message):
    assert evaluate(monkeypatch, *spoil(run, trained)) == 2
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert error.endswith(lines[0] + "\n")
    assert not list(run.rglob("results.json"))


def test_other_data_can_be_insisted_on(run, trained, monkeypatch):
    words = ("--run", run, "--data", trained / "other", "--other-data", "--samples", "9")
    assert evaluate(monkeypatch, *words) == 0
    results = read_results(run)
    assert results["data"] != results["config"]["data_hash"]


def test_benchmark_prints_speeds_and_writes_nothing(run, monkeypatch, capsys):
    assert evaluate(monkeypatch, "--run", run, "--benchmark", "--max-frames", "6") == 0
    printed = capsys.readouterr().out
    assert "frame by frame:" in printed and "structures per second" in printed
    assert not (run / "results.json").exists()


def test_a_sample_of_the_test_frames_can_be_evaluated_by_two_processes(run, monkeypatch):
    words = ("--run", run, "--max-frames", "6", "--samples", "9", "--workers", "2")
    assert evaluate(monkeypatch, *words) == 0
    results = read_results(run)
    assert (results["id"]["n_frames"], results["ood"]["n_frames"]) == (6, 6)
    assert len(np.load(run / "predictions" / "ood_energy.npy")) == 6
