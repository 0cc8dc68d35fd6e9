"""A new metric or breakdown is one row: it is shown everywhere, and results of before stay valid (CONTRIBUTING.md)."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from toy_store import make_run, make_split, make_store

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.evaluation.breakdowns import BREAKDOWNS, Breakdown, Groups
from compbench_jax.evaluation.derived import read_results
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.metrics.definitions import METRICS, Metric, quotient
from compbench_jax.report.findings import BLOCKS
from compbench_jax.report.findings_material import material
from compbench_jax.report.leaderboard import read_sources
from compbench_jax.report.site_published import published_facts
from compbench_jax.report.table import metric_table, where_table

ROOT = Path(__file__).parent.parent
COMMITTED = ROOT / "results" / "mini" / "chain_extension-mace-seed0"
NEW = Metric(
    "force_squared",
    "mean square",
    ("squared_force", "atoms"),
    quotient("squared_force", "atoms", each=3),
    unit="(eV/Å)²",
    short="mean sq.",
    compared=True,
    note="mean square of the error over atoms and components",
)


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


def printed(table):
    text = io.StringIO()
    Console(file=text, width=160).print(table)
    return text.getvalue()


def test_a_new_metric_is_one_row(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(METRICS, NEW.name, NEW)
    results = read_results(COMMITTED)  # stored before the metric was there
    value = results["ood"][NEW.name]["value"]
    assert value == pytest.approx(results["ood"]["force_rmse"]["value"] ** 2, rel=1e-4)
    assert results["ood"][NEW.name]["low"] < value < results["ood"][NEW.name]["high"]
    assert "mean square" in printed(metric_table(results))
    assert code("compare", COMMITTED, ROOT / "results" / "mini" / "chain_extension-schnet-seed0") == 0
    assert "mean square" in capsys.readouterr().out
    report = ("report", COMMITTED, "--out", tmp_path / "site", "--csv", tmp_path / "all.csv")
    assert code(*report) == 0
    with (tmp_path / "all.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row[f"ood_{NEW.name}"]) == pytest.approx(value, rel=1e-5)
    assert "mean square" in (tmp_path / "site" / "task-chain_extension.html").read_text()
    found = material(read_sources([COMMITTED]), ["chain_extension"], published_facts(), ("chain_extension",))
    assert f"- `{NEW.name}` ((eV/Å)²): mean square of" in BLOCKS["metrics"](found)
    # The leaderboard stays valid.
    assert code("validate", ROOT / "leaderboard" / "mace") == 0


def test_a_new_metric_of_a_new_sum_is_a_dash_in_results_of_before(monkeypatch):
    """A column that old files lack is not a number there; the metric is absent, the others are as they were."""
    from compbench_jax.evaluation import derived
    from compbench_jax.metrics import aggregate

    columns = (*aggregate.SUM_COLUMNS, "largest")
    metric = replace(NEW, name="force_largest", label="largest error", columns=("largest", "frames"))
    monkeypatch.setitem(METRICS, metric.name, replace(metric, function=quotient("largest", "frames")))
    before = read_results(COMMITTED)["ood"]["force_mae"]
    for module in (aggregate, derived):
        monkeypatch.setattr(module, "SUM_COLUMNS", columns)
    results = read_results(COMMITTED)
    assert results["ood"]["force_largest"]["value"] is None and results["ratio"]["force_largest"]["value"] is None
    assert results["ood"]["force_mae"] == before
    assert next(line for line in printed(metric_table(results)).splitlines() if "largest error" in line).count("–") == 3


def by_half(context, part):
    """Atoms by which half of their frame they are in: a breakdown that nobody needs."""
    frames = context.tests[part].frames
    place = np.arange(len(frames.numbers)) - np.repeat(frames.offsets[:-1], frames.n_atoms)
    return Groups(("first", "second"), (2 * place >= np.repeat(frames.n_atoms, frames.n_atoms)).astype(int))


def test_a_new_breakdown_is_one_row(tmp_path, monkeypatch, capsys):
    new = Breakdown("half", "half", "Half of the molecule", "atoms by half", "atoms", by_half)
    monkeypatch.setitem(BREAKDOWNS, "half", new)
    store = make_store(tmp_path / "store")
    evaluate(make_run(store), store, make_split(store)).write(tmp_path / "run")
    results = read_results(tmp_path / "run")
    assert list(results["by_half"]["ood"]) == ["first", "second"]
    assert sum(block["n_atoms"] for block in results["by_half"]["ood"].values()) == results["ood"]["n_atoms"]
    assert "half" in printed(where_table(results)) and "second" in printed(where_table(results))
    assert code("explain", tmp_path / "run", "--csv", tmp_path / "rows.csv") == 0
    assert "second" in capsys.readouterr().out
    assert ",half,second," in (tmp_path / "rows.csv").read_text()
    assert code("report", tmp_path / "run", "--out", tmp_path / "site") == 0
    assert "Half of the molecule" in (tmp_path / "site" / "task-chain_extension.html").read_text()
    # Results of before are shown without it.
    assert "by_half" not in read_results(COMMITTED) and "half" not in printed(where_table(read_results(COMMITTED)))
