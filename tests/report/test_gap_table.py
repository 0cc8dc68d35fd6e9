import sys

import pytest
from toy_results import make_results

from compbench_jax.cli import evaluate as program
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import RunError
from compbench_jax.evaluation.result_file import write_result
from compbench_jax.report.gap import controlled_runs, gap_of, place_of

ALKANES = {"train": (("alkane", range(2, 7)),), "ood": (("alkane", range(7, 14)),)}
RANDOM = {"train": (("alkane", [2, 5, 6, 9, 12]),), "ood": (("alkane", [3, 4, 7, 8, 10, 11, 13]),)}


def controlled(model="schnet", seed=0):
    return [
        make_results("chain_extension[alkane]", model, seed, **ALKANES),
        make_results("control_random(chain_extension[alkane])", model, seed, penalty=1.5, **RANDOM),
        make_results("oracle(chain_extension[alkane])", model, seed, penalty=1.0, **ALKANES),
    ]


@pytest.mark.parametrize(
    ("name", "task", "role"),
    [
        ("fragment_combination[NH2,COOH]", "fragment_combination[NH2,COOH]", "runs"),
        ("control_random(fragment_combination[NH2,COOH])", "fragment_combination[NH2,COOH]", "controls"),
        ("control_random(fragment_transfer[NH2,OH],seed=3)", "fragment_transfer[NH2,OH]", "controls"),
        ("oracle(chain_extension[alkane])", "chain_extension[alkane]", "oracles"),
    ],
)
def test_roles_are_in_the_names_of_tasks(name, task, role):
    assert place_of(make_results(name)) == (task, role)


def test_runs_seeds_splits_and_models_are_sorted_out():
    other_split = make_results("control_random(chain_extension[alkane],seed=1)", penalty=1.5, **RANDOM)
    found = controlled_runs([*controlled(), *controlled(seed=1), *controlled("mace"), other_split])
    assert [(len(t.runs), len(t.controls), len(t.oracles)) for t in found] == [(2, 3, 2), (1, 1, 1)]
    task, control, oracle = controlled()
    value = gap_of(controlled_runs([task, control, oracle])[0]).gap.estimate("force_mae")
    errors = [item["ood"]["force_mae"]["value"] for item in (task, control, oracle)]
    assert value.value == pytest.approx((errors[0] - errors[1]) / errors[2], rel=1e-4)
    assert value.low < value.value < value.high


def test_a_missing_control_or_one_of_other_settings_is_named():
    task, control, oracle = controlled()
    with pytest.raises(RunError, match=r"needs oracle\(chain_extension\[alkane\]\) as well as"):
        controlled_runs([task, control])
    control["config"]["model"]["channels"] = 64
    with pytest.raises(RunError, match=r"needs control_random\(chain_extension\[alkane\]\) as well as"):
        controlled_runs([task, oracle, control])


def test_gap_from_the_command_line(tmp_path, capsys):
    for index, results in enumerate(controlled()):
        write_result(tmp_path / str(index) / "results.json", results.result)
    words = ["gap", *(str(tmp_path / str(index)) for index in range(3))]
    assert exit_code_of(lambda: run_command(words)) == 0
    printed = capsys.readouterr().out
    assert "schnet on chain_extension[alkane]: compositional gap (1 run, 1 control, 1 oracle)" in printed
    assert "1 − force cosine" in printed and "task / oracle" in printed
    assert exit_code_of(lambda: run_command(words[:-1])) == 2
    assert "train with --with-controls" in capsys.readouterr().err
    assert exit_code_of(lambda: run_command(["gap"])) == 2


def evaluate(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *(str(word) for word in words)])
    return exit_code_of(program.wire)


def test_one_flag_evaluates_a_run_with_its_controls_and_prints_the_gap(tmp_path, monkeypatch, capsys):
    seen = []

    def stand_in(arguments, settings):
        seen.append(arguments.run.name)
        write_result(arguments.run / "results.json", controlled()[len(seen) - 1].result)

    monkeypatch.setattr(program, "evaluate_run", stand_in)
    (tmp_path / "run").mkdir()
    assert evaluate(monkeypatch, "--run", tmp_path / "run", "--with-controls") == 2
    assert "run-control_random does not exist: train it with" in capsys.readouterr().err
    for name in ("run-control_random", "run-oracle"):
        (tmp_path / name).mkdir()
    assert evaluate(monkeypatch, "--run", tmp_path / "run", "--with-controls", "--samples", "20") == 0
    assert seen == ["run", "run-control_random", "run-oracle"]
    assert "compositional gap" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "r", "--with-controls", "--task", "fragment_fusion"], "--with-controls goes with --run RUN alone"),
        (["--calculator", "gfn1-xtb", "--task", "t", "--data", "d", "--member", "1"], "--member picks one of a run's"),
        (["--foundation", "so3lr", "--task", "t", "--data", "d", "--member", "0"], "and --foundation has none"),
        (["--calculator", "a:b", "--task", "t", "--data", "d", "--precision", "float64"], "--precision is that of"),
    ],
)
def test_flags_of_runs_are_refused_elsewhere(words, message, monkeypatch, capsys):
    assert evaluate(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
