"""``compbench dynamics`` from the command line, on a run of no steps: what it measures, how it goes on, bad input."""

import json
import os

import numpy as np
import pytest
from made_up_run import save_members, start_run

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.dynamics.results import read
from compbench_jax.errors import RunError
from compbench_jax.labelling.levels import get_level
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.store import open_store
from compbench_jax.store.writer import Trajectory, write_store

CHEAP = ("--picoseconds", "0.05", "--molecules", "1", "--workers", "1")


def make_store(folder):
    """Ethane, propane and heptane near their conformers, labelled with GFN2-xTB."""
    rng, level = np.random.default_rng(0), get_level("gfn2-xtb")
    graphs = [molecular_graph(find_molecule(name)) for name in ("ethane", "propane", "heptane")]
    trajectories = []
    for index, graph in enumerate(graphs):
        at = conformer(graph.molecule, 1)
        for name in ("primary", "secondary"):
            positions = (at + 0.03 * rng.normal(size=(4, *at.shape))).astype(np.float32)
            labels = [level.label(graph.numbers, frame.astype(np.float64)) for frame in positions]
            energy, forces = np.array([e for e, _ in labels]), np.array([f for _, f in labels], np.float32)
            trajectories.append(
                Trajectory(index, name, 0, positions, forces, energy, 10.0 * np.arange(4), np.full(4, 300.0))
            )
    write_store(folder, Manifest((), (), (), level.describe(), {}, 2, (), {"test": "1"}), graphs, trajectories)
    return open_store(folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of SchNet as it starts; written by what the training room writes runs with."""
    folder = tmp_path_factory.mktemp("dynamics")
    store = make_store(folder / "store")
    _, init = start_run(folder / "run", store, folder / "store", cutoff=3.0)
    params = init(0)
    save_members(folder / "run", [params], [params])
    return folder


def dynamics(trained, *words):
    """Exit code of ``compbench dynamics`` in this process."""
    cache = ("--cache", str(trained / "cache"), "--out", str(trained / "out"))
    return exit_code_of(lambda: run_command(["dynamics", str(trained / "run"), *cache, *map(str, words)]))


def test_it_measures_writes_prints_and_goes_on(trained, capsys):
    assert dynamics(trained, *CHEAP, "--properties", "curl", "torsion", "nve") == 0
    printed = " ".join(capsys.readouterr().out.split())
    for what in (
        "schnet on chain_extension",
        "GFN2-xTB",
        "energy drift",
        "broken bond",
        "torsion scan",
        "non-conservative part of the forces",
    ):
        assert what in printed
    path = trained / "out" / "dynamics.json"
    results = json.loads(path.read_text())
    assert results["schema_version"] == 1 and set(results["properties"]) == {"curl", "torsion", "nve"}
    (ood,) = results["properties"]["torsion"]["ood"].values()
    assert ood["points"] + ood["left_out"] == 24 and ood["reference_barrier"] > 50.0
    truth = np.array(ood["reference_energy"])
    assert ood["energy_rmse"] == pytest.approx(np.sqrt(((np.array(ood["energy"]) - truth) ** 2).mean()), abs=0.01)
    (ood,) = results["properties"]["nve"]["ood"].values()
    # A potential that was not trained holds nothing together, the reference does.
    assert (ood["broken"], ood["reference_broken"]) == (1, 0) and "broke" in ood["how"]
    assert abs(ood["reference_drift"]) < 50.0
    assert results["summary"]["curl"]["curl"]["id"]["value"] < 1e-5
    assert next(iter(results["molecules"]["ood"].values()))["name"] == "heptane"
    # What is known is not measured again, unless it was measured otherwise.
    for block in results["properties"].values():
        for values in (*block["id"].values(), *block["ood"].values()):
            values["mark"] = 1
    path.write_text(json.dumps(results))
    words = ("--properties", "curl", "locality", "torsion", "nve")
    assert dynamics(trained, *CHEAP, *words, "--temperature", "200") == 0
    again = json.loads(path.read_text())["properties"]
    marked = {name: all("mark" in values for values in block["ood"].values()) for name, block in again.items()}
    assert marked == {"curl": True, "locality": False, "torsion": True, "nve": False}
    assert next(iter(again["locality"]["id"].values()))["energy"] < 0.1
    # A reference that failed is asked again.
    results = json.loads(path.read_text())
    results["properties"]["torsion"]["ood"] = {
        key: {"reference_failed": "out of memory"} for key in again["torsion"]["ood"]
    }
    path.write_text(json.dumps(results))
    assert dynamics(trained, *CHEAP, "--properties", "torsion", "--temperature", "200") == 0
    torsion = json.loads(path.read_text())["properties"]["torsion"]
    assert "energy_rmse" in next(iter(torsion["ood"].values())) and "mark" in next(iter(torsion["id"].values()))


def test_without_a_reference_there_is_no_scan(trained, capsys):
    words = ("--level", "none", "--properties", "torsion", "extensivity", "--out", trained / "none")
    assert dynamics(trained, *CHEAP, *words) == 0
    results = json.loads((trained / "none" / "dynamics.json").read_text())
    assert set(results["properties"]) == {"extensivity"} and results["level"] is None
    assert "no reference" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--picoseconds", "-1"), "--picoseconds is -1"),
        (("--molecules", "0"), "--molecules 0"),
        (("--temperature", "nan"), "--temperature is nan"),
        (("--level", "gfn3-xtb"), "unknown level of theory 'gfn3-xtb'"),
        (("--task", "chain_extention"), "did you mean 'chain_extension'"),
        (("--data", "nowhere"), "no data set at"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(trained, capsys, words, message):
    assert dynamics(trained, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and message in lines[0]


NVE = {"settings": {}, "id": {}, "ood": {}}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[" * 100_000,
        "[]",
        "7",
        json.dumps({"schema_version": 1, "properties": {}}),
        json.dumps({"schema_version": 1, "molecules": {"id": {}, "ood": {}}, "properties": {"nve": 3}}),
        json.dumps({"schema_version": 1, "molecules": {"id": {}, "ood": []}, "properties": {}}),
        json.dumps({"schema_version": "1", "molecules": {"id": {}, "ood": {}}, "properties": {"nve": NVE}}),
        json.dumps(
            {
                "schema_version": 1,
                "molecules": {"id": {}, "ood": {}},
                "properties": {"nve": NVE | {"id": {"A": {"drift": "fast"}}}},
            }
        ),
    ],
)
def test_a_malformed_file_is_one_line(tmp_path, content):
    (tmp_path / "dynamics.json").write_text(content)
    with pytest.raises(RunError, match=r"dynamics\.json (cannot be read|is not a)"):
        read(tmp_path)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "dynamics.json")
    with pytest.raises(RunError, match=r"dynamics\.json is not a regular file"):
        read(tmp_path)


def test_a_damaged_file_is_one_line(trained, capsys):
    (trained / "bad").mkdir()
    (trained / "bad" / "dynamics.json").write_text("{")
    assert dynamics(trained, *CHEAP, "--out", trained / "bad") == 2
    assert "cannot be read" in capsys.readouterr().err
