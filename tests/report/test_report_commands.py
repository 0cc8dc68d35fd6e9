"""``compbench table``, ``figure`` and ``compare``, from the command line to what they print."""

import pytest
from toy_results import extension

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.evaluation.result_file import write_result


@pytest.fixture
def runs(tmp_path):
    for name, results in {
        "a": extension(seed=0),
        "b": extension(seed=1),
        "c": extension("mace", scale=0.015),
    }.items():
        write_result(tmp_path / name / "results.json", results.result)
        (tmp_path / name / "log.jsonl").write_text(
            '{"event": "validation", "step": 0, "monitor_id_force_mae": 0.4, "monitor_ood_force_mae": 0.5}\n'
            '{"event": "validation", "step": 9, "monitor_id_force_mae": 0.1, "monitor_ood_force_mae": 0.3}\n'
        )
    return tmp_path


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


def test_table_takes_files_and_folders(runs, capsys):
    assert code("table", runs / "a", runs / "b" / "results.json", runs / "c", "--markdown") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1:3] for line in lines[2:4]] == [["schnet", "2"], ["mace", "1"]]
    assert code("table", runs / "a") == 0
    assert "chain_extension" in capsys.readouterr().out


def test_figure_is_written_where_asked(runs, capsys):
    assert code("figure", runs / "a", runs / "c", "--out", runs / "deep" / "figure.png") == 0
    assert (runs / "deep" / "figure.png").stat().st_size > 10_000
    assert "figure.png" in capsys.readouterr().out


def test_compare_prints_differences_and_the_matched_error(runs, capsys):
    assert code("compare", runs / "a", runs / "c") == 0
    text = capsys.readouterr().out
    assert "A = schnet, seed 0; B = mace, seed 0" in text
    assert "OOD force MAE: B is better, A " in text
    assert "force MAE (meV/Å)" in text
    assert "where the ID force MAE is 100" in " ".join(text.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table"], "no results are given"),
        (["table", "{runs}/nowhere"], "does not exist"),
        (["figure", "{runs}/a", "--out", "{runs}/f.gif"], "end its name in .png"),
        (["figure", "--out", "{runs}/f.png"], "no results are given"),
        (["table", "{runs}/a", "{runs}/a"], "given twice"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(runs, capsys, words, message):
    assert code(*(word.format(runs=runs) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
