import csv
import io

import msgspec
import numpy as np
import pytest
from rich.console import Console
from toy_results import extension

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import RunError
from compbench_jax.evaluation.breakdowns import BREAKDOWNS
from compbench_jax.evaluation.result import Columns, SetResult
from compbench_jax.evaluation.result_file import write_result
from compbench_jax.metrics.aggregate import SUM_COLUMNS
from compbench_jax.metrics.sums import ATOM_COLUMNS
from compbench_jax.report.breakdown_table import COLUMNS, breakdown_rows, breakdown_table


def sums_of(columns, atoms, error):
    """Sums of so many atoms, all with this error (eV/Å) on every component."""
    values = {"atoms": atoms, "abs_force": 3 * atoms * error, "squared_force": 3 * atoms * error**2}
    return [float(values.get(name, 1.0)) for name in columns]


def easy(seed=0, scale=1.0):
    """Results whose sums are easy to add up: 8 H and 4 C per molecule; carbons of OOD are unseen and 3 times worse."""
    results, sets = extension(seed=seed), {}
    for part in ("id", "ood"):
        molecules = results.tested(part).molecules
        errors = [scale * (0.01 + 0.001 * index) for index in range(len(molecules))]
        worse = 3 if part == "ood" else 1
        hydrogens = {k: sums_of(ATOM_COLUMNS, 8, error) for k, error in enumerate(errors)}
        carbons = {k: sums_of(ATOM_COLUMNS, 4, worse * error) for k, error in enumerate(errors)}
        both = {k: np.add(hydrogens[k], carbons[k]).tolist() for k in carbons}
        whole = [[*both[k], *[1.0] * (len(SUM_COLUMNS) - len(ATOM_COLUMNS))] for k in both]
        names = ("0 C", "1 H") if part == "ood" else ("none C", "none H")
        groups = {"distance_element": dict(zip(names, (carbons, hydrogens), strict=True)), "force": {"0–0.25": both}}
        if part == "ood":
            groups["contact"] = {"seen": dict(enumerate(whole))}
        sets[part] = SetResult(molecules, whole, groups)
    return results.replaced(**sets, columns=Columns(list(ATOM_COLUMNS), list(SUM_COLUMNS)))


def pick(rows, part, by, group):
    return next(row for row in rows if (row.part, row.by, row.group) == (part, by, group))


def test_rows_are_sums_over_molecules_divided_once():
    rows = breakdown_rows([easy()])
    mean = np.mean([0.01 + 0.001 * index for index in range(7)])
    unseen = pick(rows, "ood", "distance", "0")
    assert unseen.force_mae.value == pytest.approx(3 * mean)
    assert unseen.force_mae.low < unseen.force_mae.value < unseen.force_mae.high
    assert (unseen.n_molecules, unseen.n_atoms) == (7, 28)
    assert unseen.atom_share == pytest.approx(1 / 3)
    assert unseen.error_share == pytest.approx(3 / 5)
    assert pick(rows, "ood", "distance", "1").force_mae.value == pytest.approx(mean)
    assert pick(rows, "ood", "ch2", "5").force_mae.value == pytest.approx((8 + 3 * 4) / 12 * 0.01)
    assert pick(rows, "ood", "ch2", "5").force_mae.low is None
    assert pick(rows, "id", "end_fragment", "H").atom_share == 1
    assert [row.group for row in rows if (row.part, row.by) == ("ood", "n")] == [str(n) for n in range(7, 14)]
    for part in ("id", "ood"):
        for by in ("element", "ch2", "force"):
            shares = [row.error_share for row in rows if (row.part, row.by) == (part, by)]
            assert sum(shares) == pytest.approx(1)


def test_seeds_are_pooled_and_widen_the_interval():
    runs = [easy(seed, scale) for seed, scale in enumerate((0.5, 1.5))]
    one = pick(breakdown_rows([easy()]), "ood", "distance", "0").force_mae
    two = pick(breakdown_rows(runs), "ood", "distance", "0")
    assert two.force_mae.value == pytest.approx(one.value)
    assert two.force_mae.high - two.force_mae.low > 1.5 * (one.high - one.low)
    assert two.n_atoms == 28
    ood = runs[1].result.ood
    groups = {**ood.groups, "distance_element": {"1 H": ood.groups["distance_element"]["1 H"]}}
    runs[1] = runs[1].replaced(ood=msgspec.structs.replace(ood, groups=groups))
    with pytest.raises(RunError, match="differ in the OOD atoms that bonds to unseen divides"):
        breakdown_rows(runs)


def test_the_table_shows_id_beside_ood():
    run = easy()
    text = io.StringIO()
    Console(file=text, width=118).print(breakdown_table([run], breakdown_rows([run])))
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert any(line[:4] == ["bonds", "to", "unseen", "0"] for line in lines)
    assert any(line[:2] == ["element", "H"] and line.count("→") == 2 for line in lines)


@pytest.fixture
def runs(tmp_path):
    for seed in (0, 1):
        write_result(tmp_path / str(seed) / "results.json", easy(seed).result)
    return tmp_path


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


def test_explain_pools_seeds_and_writes_data_for_plots(runs, capsys):
    assert code("explain", runs / "0", runs / "1" / "results.json", "--samples", "50", "--csv", runs / "w.csv") == 0
    printed = capsys.readouterr().out
    assert "schnet on chain_extension, 2 seeds: error breakdown" in printed
    with (runs / "w.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["by"] for row in rows} == set(BREAKDOWNS) - {"touching"}
    unseen = next(row for row in rows if (row["set"], row["by"], row["group"]) == ("ood", "distance", "0"))
    assert float(unseen["force_mae"]) == pytest.approx(0.039)
    assert float(unseen["force_mae_low"]) < 0.039 < float(unseen["force_mae_high"])
    assert (unseen["seeds"], unseen["n_molecules"]) == ("2", "7")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["explain"], "no results are given"),
        (["explain", "{runs}/0", "--samples", "0"], "give 1 or more draws"),
        (["explain", "{runs}/bare"], "bare does not exist"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(runs, capsys, words, message):
    assert code(*(word.format(runs=runs) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
