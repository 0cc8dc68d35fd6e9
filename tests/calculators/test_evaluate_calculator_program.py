"""``evaluate.py --calculator`` from the command line, and what the other commands make of its results."""

import json
import sys
from pathlib import Path

import pytest
import toy_calculators
import toy_store

from compbench_jax.calculators.evaluate import levels, make_jobs
from compbench_jax.calculators.spec import CalculatorSpec
from compbench_jax.cli.evaluate import wire
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command

FILE = Path(toy_calculators.__file__)
ALKANES = tuple(("alkane-" + str(n), "alkane", n, ("H", "H"), (1, *[6] * n, 1)) for n in (2, 3, 7, 8))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calculator-program") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_store, "MOLECULES", ALKANES)
        return toy_store.make_store(folder)


@pytest.fixture
def program(store, monkeypatch):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *(str(word) for word in words)])
        return exit_code_of(wire)

    return run


def on(store, out):
    return ("--task", "chain_extension", "--data", store.path, "--out", out, "--samples", "20")


def test_results_go_into_table_figure_and_comparison(program, store, tmp_path, capsys):
    for name, sigma in (("a", 0.02), ("b", 0.05)):
        keywords = json.dumps({"force_sigma": sigma, "energy_sigma": 0.01})
        assert program("--calculator", "perturb", "--calculator-kwargs", keywords, *on(store, tmp_path / name)) == 0
        printed = capsys.readouterr().out
        assert "levels of theory" not in printed
        assert "perturb on chain_extension, not trained here" in printed
        assert "force MAE (meV/Å)" in printed and "energy shifts fitted on" in printed
        results = json.loads((tmp_path / name / "results.json").read_text())
        assert results["fit_frames"] == results["energy_shifts"]["fitted_on_train_frames"]
        for file in ("id_energy.npy", "ood_forces.npy", "identity.json", "worker-0.log"):
            assert (tmp_path / name / "predictions" / file).exists()
    run_command(["table", str(tmp_path / "a"), str(tmp_path / "b"), "--markdown"])
    table = capsys.readouterr().out
    assert table.count("| `chain_extension` | perturb |") == 2
    run_command(["figure", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "f.png")])
    assert (tmp_path / "f.png").stat().st_size > 10_000
    run_command(["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "B − A" in capsys.readouterr().out


def test_a_partial_result_is_marked_everywhere(program, store, tmp_path, capsys):
    words = ("--calculator", f"{FILE}:Killed", "--calculator-kwargs", '{"n_atoms": 10}', "--workers", "2")
    assert program(*words, "--calculator-level", "PBE0+MBD", *on(store, tmp_path / "out")) == 0
    printed = capsys.readouterr().out
    assert "PARTIAL: 6 of 12 OOD frames are missing" in printed and "alkane-8: 6 of 6: " in printed
    assert "levels of theory differ: calculator PBE0+MBD, labels made up" in printed
    assert "partial: frames are missing" in " ".join(printed.split())
    run_command(["table", str(tmp_path / "out"), "--markdown"])
    assert "Killed (partial)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to evaluate is given"),
        (("--run", "x", "--calculator", "perturb"), "--run and --calculator are given"),
        (("--calculator", "perturb"), "--calculator needs --task TASK (or --split FILE) and --data DIR"),
        (("--run", "x", "--calculator-kwargs", "{}"), "--calculator-kwargs belongs to --calculator"),
        (("--calculator", "nothing", "--task", "t", "--data", "d"), "module:callable"),
        (("--foundation", "so3l", "--task", "t", "--data", "d"), "did you mean 'so3lr'"),
        (("--calculator", "perturb", "--task", "t", "--data", "d", "--benchmark"), "--benchmark times a run"),
        (("--calculator", "perturb", "--task", "t", "--data", "d", "--workers", "-1"), "--workers is -1"),
        (("--calculator", "perturb", "--task", "t", "--data", "d", "--max-frames", "0"), "--max-frames is 0"),
    ],
)
def test_bad_input_is_one_line(program, capsys, words, message):
    assert program(*words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line


def test_known_elements_spare_the_calculator_the_rest(store):
    spec = CalculatorSpec("hydrogen only", "a:b", elements=(1,))
    jobs, refused = make_jobs(spec, store, [0, 1])
    assert not jobs
    assert [outcome.reason for outcome in refused] == ["hydrogen only does not know C"] * 2


def test_levels_are_compared_as_words(store):
    for level, same in (("Made Up", True), ("made-up", True), ("PBE0", False), (None, None)):
        assert levels(store, level)["same"] is same


def test_only_one_evaluation_writes_to_a_folder(program, store, tmp_path, capsys):
    from compbench_jax.training.run_folder import locked

    with locked(tmp_path / "out", "evaluating"):
        assert program("--calculator", "perturb", *on(store, tmp_path / "out")) == 2
    assert "another process is evaluating in" in capsys.readouterr().err


def test_keywords_of_perturb_are_checked_before_anything_runs(program, store, tmp_path, capsys):
    assert program("--calculator", "perturb", "--calculator-kwargs", '{"sigma": 1}', *on(store, tmp_path)) == 2
    assert "no keyword 'sigma'" in capsys.readouterr().err
