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
    page = " ".join((ROOT / "docs" / "models.md").read_text().split())

    def needed(potential, target):
        own = {r: [x for x in runs if (x["potential"], x["recipe"]) == (potential, r)] for r in ("adam", "muon")}
        return [round(benchmark.time_to(target, own[recipe])) for recipe in own]

    of_painn = "PaiNN needs {} s to 40 meV/Å with Adam and {} s with Muon, and {} s and {} s to 30 meV/Å."
    assert of_painn.format(*needed("painn", 40.0), *needed("painn", 30.0)) in page
    assert "NequIP needs {} s and {} s to 40 meV/Å.".format(*needed("nequip", 40.0)) in page
    for potential in ("dimenet", "gemnet", "equiformer_v2", "so3lr"):
        own = [run for run in runs if run["potential"] == potential]
        steps = min(run["steps"] for run in own)
        error = {run["recipe"]: run["force_mae_mev"] for run in own if run["steps"] == steps}
        assert f"{error['adam']:.1f} and {error['muon']:.1f} (`{potential}`)" in page
    runs = [run for run in runs if run["potential"] == "mace"]
    first = {run["recipe"]: run["force_mae_mev"] for run in runs if run["steps"] == 500}
    for recipe in ("muon, linear", "muon, EMA 0.99", "muon, energies 1"):
        assert abs(first[recipe] - first["muon"]) < 1.0
    assert first["muon, batch 16"] > first["muon"]
    of_four = round(benchmark.time_to(20.0, [run for run in runs if run["recipe"] == "muon, batch 4"]))
    assert f"Batches of 4 need {of_four} s to 20 meV/Å" in page
    times = [
        round(benchmark.time_to(20.0, [run for run in runs if run["recipe"] == recipe]))
        for recipe in ("adam", "muon", "muon + prior")
    ]
    assert (
        "MACE needs {} s of a core to 20 meV/Å with Adam, {} s with Muon and {} s with the prior".format(*times) in page
    )
