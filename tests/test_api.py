"""The library in Python: from data to an ID/OOD table, to predictions and to ASE, in a few lines."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from toy_store import STRENGTH, make_store, pair_energy_forces

import compbench_jax as cb
from compbench_jax.errors import CompBenchError, RunError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "data"
    make_store(folder)
    return cb.load_data(folder)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    model = replace(cb.MODELS["schnet"], features=8, interactions=1, n_basis=4, cutoff=3.0)
    out = tmp_path_factory.mktemp("api") / "run"
    return cb.train(model, data, Toy(), out=out, steps=4, batch_size=2, learning_rate=1e-3)


class Toy:
    """A task of the toy molecules."""

    name = "chain_extension"

    def split(self, data):
        from toy_store import make_split

        return make_split(data)


class Pairs(Calculator):
    """The toy potential as an ASE calculator that refuses one molecule."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(atoms) == 0:
            raise ValueError("no atoms")
        energy, forces = pair_energy_forces(atoms.numbers, atoms.positions, STRENGTH)
        self.results = {"energy": energy, "forces": forces}


def test_importing_takes_no_time_and_no_jax():
    code = "import sys, compbench_jax as cb; print('jax' in sys.modules, 'ase' in sys.modules, 'train' in dir(cb))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cb.nothing  # noqa: B018
    assert set(cb.__all__) - {"__version__"} == set(__import__("compbench_jax.api", fromlist=["api"]).__all__)


def test_from_data_to_a_table(data, run, tmp_path, monkeypatch):
    result = cb.evaluate(run, data, Toy(), out=tmp_path)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)  # print(result) works in a notebook, too,
    monkeypatch.setenv("FORCE_COLOR", "1")  # which sets this
    text = str(result)
    assert "schnet on chain_extension" in text and "force MAE (meV/Å)" in text and "OOD / ID" in text
    assert "\x1b" not in text
    again = cb.load_result(tmp_path)
    assert again["ood"]["force_mae"] == result["ood"]["force_mae"]
    rows = result.records()
    row = next(r for r in rows if (r["set"], r["by"], r["metric"]) == ("ood", "all", "force_mae"))
    assert row["value"] == result["ood"]["force_mae"]["value"]
    assert {r["group"] for r in rows if r["by"] == "by_element" and r["set"] == "ood"} >= {"H", "C"}
    assert (tmp_path / "audit.json").exists()


def test_predictions_are_those_of_the_calculator(data, run):
    frames = data.gather(np.array([0, 20, 40]))
    structures = [
        Atoms(frames.numbers[a:b], frames.positions[a:b] + 1000.0 * k)
        for k, (a, b) in enumerate(zip(frames.offsets[:-1], frames.offsets[1:], strict=True))
    ]
    potential = cb.load_potential(run)
    energies, forces = potential.predict(structures)
    calculator = cb.Calculator(run)
    for atoms, energy, force in zip(structures, energies, forces, strict=True):
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-4)
        np.testing.assert_allclose(atoms.get_forces(), force, atol=1e-4)
    assert potential.predict([])[1] == []
    with pytest.raises(CompBenchError, match="structure 0 has a periodic cell"):
        potential.predict([Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=[5, 5, 5], pbc=True)])
    with pytest.raises(CompBenchError, match="contains"):
        potential.predict([Atoms("Au2", [[0, 0, 0], [0, 0, 2.5]])])
    with pytest.raises(CompBenchError, match=r"0\.01 Å apart"):
        potential.predict([Atoms("H2", [[0, 0, 0], [0, 0, 0.01]])])


def test_any_ase_calculator_is_scored_like_a_run(data):
    from toy_store import make_run

    seen = []
    result = cb.evaluate(Pairs(), data, Toy(), name="pairs", progress=lambda *counts: seen.append(counts))
    reference = cb.evaluate(make_run(data), data, Toy())
    assert result["kind"] == "foreign" and seen[-1][0] == seen[-1][1]
    for part in ("id", "ood"):
        for metric in ("force_mae", "energy_mae_centred"):
            value = reference[part][metric]["value"]
            assert result[part][metric]["value"] == pytest.approx(value, rel=1e-3)


def test_what_is_wrong_is_said(data, run, tmp_path):
    with pytest.raises(RunError, match="did you mean 'schnet'"):
        cb.train("shnet", data, "chain_extension", out=tmp_path / "x")
    with pytest.raises(CompBenchError, match="did you mean"):
        cb.get_task("chain_extention")
    with pytest.raises(RunError, match="has no task of its own"):
        cb.evaluate(Pairs(), data)
    with pytest.raises(RunError, match="give the folder of the run itself"):
        cb.evaluate(cb.Calculator(run), data, Toy())
    assert "chain_extension" in cb.TASKS and "mace" in cb.MODELS
