"""The benchmark of the time to an error, and what the pages say of it."""

import importlib.util
import json
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("time_to_accuracy", ROOT / "benchmarks" / "time_to_accuracy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_times_are_interpolated_between_runs(benchmark):
    runs = [{"processor_seconds": t, "force_mae_mev": e} for t, e in ((40.0, 10.0), (10.0, 40.0), (20.0, 20.0))]
    assert benchmark.time_to(40.0, runs) == 10.0
    assert benchmark.time_to(20.0, runs) == pytest.approx(20.0)
    assert benchmark.time_to(math.sqrt(200.0), runs) == pytest.approx(math.sqrt(800.0))
    assert math.isinf(benchmark.time_to(5.0, runs))


def test_the_pages_have_the_times(benchmark):
    runs = json.loads((ROOT / "results" / "time_to_accuracy.json").read_text())["runs"]
    text = (ROOT / "docs" / "models.md").read_text()
    assert benchmark.beside_adam(runs) in text, "run benchmarks/time_to_accuracy.py --table --page docs/models.md"
    page = " ".join(text.split())
    runs = [run for run in runs if (run["task"], run["potential"]) == ("fragment_duplication", "mace")]
    first = {run["recipe"]: run["force_mae_mev"] for run in runs if run["steps"] == 500}
    for recipe in ("muon, linear", "muon, EMA 0.99", "muon, energies 1"):
        assert abs(first[recipe] - first["muon"]) < 1.0
    assert first["muon, batch 16"] > first["muon"]
    of_four = round(benchmark.time_to(20.0, [run for run in runs if run["recipe"] == "muon, batch 4"]))
    assert f"Batches of 4 need {of_four} s to 20 meV/Å" in page
    of = {name: [run for run in runs if run["recipe"] == name] for name in ("adam", "muon", "muon + prior")}
    times = [round(benchmark.time_to(10.0, of[name])) for name in of]
    assert "MACE needs {} s to 10 meV/Å with Adam, {} s with Muon and {} s with the prior.".format(*times) in page


def test_a_run_that_stands_in_the_figures_is_found(benchmark, tmp_path):
    run = {"task": "t", "potential": "p", "recipe": "adam", "steps": 500, "force_mae_mev": 9.0}
    assert benchmark.known(tmp_path / "figures.json", "t", "p", "adam", 500) is None
    benchmark.keep(tmp_path / "figures.json", run)
    assert benchmark.known(tmp_path / "figures.json", "t", "p", "adam", 500) == run
    assert benchmark.known(tmp_path / "figures.json", "t", "p", "adam", 1000) is None


def test_the_table_beside_adam_is_of_the_lowest_error_of_both(benchmark):
    runs = [
        {"task": "t", "potential": "p", "recipe": recipe, "processor_seconds": seconds, "force_mae_mev": error}
        for recipe, seconds, error in (
            ("adam", 10.0, 40.0),
            ("adam", 80.0, 20.0),
            ("adam", 99.0, 19.0),
            ("muon", 10.0, 20.0),
        )
    ]
    assert benchmark.beside_adam(runs).splitlines()[-1] == "| `t` | `p` | 20.0 meV/Å | 80 s | 10 s (8.0×) | – |"
