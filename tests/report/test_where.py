import csv
import io

import numpy as np
import pytest
from rich.console import Console
from toy_results import extension
from toy_where import make_where

from compbench_jax.cli.guard import guarded
from compbench_jax.cli.main import run_command
from compbench_jax.errors import RunError
from compbench_jax.evaluation.results import write_results
from compbench_jax.evaluation.where import FILE, write_where
from compbench_jax.report.where import BREAKDOWNS, COLUMNS, where_rows, where_table


def pick(rows, part, by, label):
    return next(row for row in rows if (row.part, row.by, row.label) == (part, by, label))


def test_rows_are_sums_over_molecules_divided_once():
    rows = where_rows([make_where(extension())])
    mean = np.mean([0.01 + 0.001 * index for index in range(7)])
    novel = pick(rows, "ood", "distance", "0")
    assert novel.force_mae.value == pytest.approx(3 * mean)
    assert novel.force_mae.low < novel.force_mae.value < novel.force_mae.high
    assert (novel.n_molecules, novel.n_atoms) == (7, 28)
    assert novel.atom_share == pytest.approx(1 / 3)
    assert novel.error_share == pytest.approx(3 / 5)
    assert pick(rows, "ood", "distance", "1").force_mae.value == pytest.approx(mean)
    assert pick(rows, "ood", "ch2", "5").force_mae.value == pytest.approx((8 + 3 * 4) / 12 * 0.01)
    assert pick(rows, "ood", "ch2", "5").force_mae.low is None
    assert pick(rows, "id", "end_fragment", "H").atom_share == 1
    assert [row.label for row in rows if (row.part, row.by) == ("ood", "n")] == [str(n) for n in range(7, 14)]
    for part in ("id", "ood"):
        for by in ("element", "ch2", "force"):
            shares = [row.error_share for row in rows if (row.part, row.by) == (part, by)]
            assert sum(shares) == pytest.approx(1)


def test_seeds_are_pooled_and_widen_the_interval():
    runs = [make_where(extension(seed=seed), scale) for seed, scale in enumerate((0.5, 1.5))]
    one = pick(where_rows([make_where(extension())]), "ood", "distance", "0").force_mae
    two = pick(where_rows(runs), "ood", "distance", "0")
    assert two.force_mae.value == pytest.approx(one.value)
    assert two.force_mae.high - two.force_mae.low > 1.5 * (one.high - one.low)
    assert two.n_atoms == 28
    runs[1]["sums"]["ood"]["distance"]["0"].popitem()
    with pytest.raises(RunError, match="differ in the OOD atoms that bonds to novelty divides"):
        where_rows(runs)


def test_the_table_shows_id_beside_ood():
    where = make_where(extension())
    text = io.StringIO()
    Console(file=text, width=118).print(where_table([where], where_rows([where])))
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert any(line[:4] == ["bonds", "to", "novelty", "0"] for line in lines)
    assert any(line[:2] == ["element", "H"] and line.count("→") == 2 for line in lines)


@pytest.fixture
def runs(tmp_path):
    for seed in (0, 1):
        results = extension(seed=seed)
        write_results(tmp_path / str(seed) / "results.json", results)
        write_where(tmp_path / str(seed) / FILE, make_where(results))
    return tmp_path


def code(*words):
    return guarded(lambda: run_command([str(word) for word in words]))


def test_explain_pools_seeds_and_writes_data_for_plots(runs, capsys):
    assert code("explain", runs / "0", runs / "1" / "results.json", "--samples", "50", "--csv", runs / "w.csv") == 0
    printed = capsys.readouterr().out
    assert "schnet on chain_extension, 2 seeds: where the force error lives" in printed
    with (runs / "w.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["by"] for row in rows} == set(BREAKDOWNS) - {"distance_element"}
    novel = next(row for row in rows if (row["set"], row["by"], row["label"]) == ("ood", "distance", "0"))
    assert float(novel["force_mae"]) == pytest.approx(0.039)
    assert float(novel["force_mae_low"]) < 0.039 < float(novel["force_mae_high"])
    assert (novel["seeds"], novel["n_molecules"]) == ("2", "7")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["explain"], "no results are given"),
        (["explain", "{runs}/0", "--samples", "0"], "give 1 or more draws"),
        (["explain", "{runs}/bare"], "where.json does not exist: evaluate again"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(runs, capsys, words, message):
    write_results(runs / "bare" / "results.json", extension())
    assert code(*(word.format(runs=runs) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
