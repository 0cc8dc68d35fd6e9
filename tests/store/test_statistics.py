import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from compbench_jax.store.statistics import ALL, NOTES, OTHER, statistics_json, store_statistics
from compbench_jax.store.store import open_store
from compbench_jax.store.torsions import backbone_torsions, torsion_angles
from compbench_jax.store.writer import write_store

MINI = Path(__file__).parent.parent.parent / "data" / "mini"


@pytest.fixture(scope="module")
def mini():
    return open_store(MINI)


@pytest.fixture(scope="module")
def statistics(mini):
    return store_statistics(mini)


@pytest.mark.parametrize("name", ["mini", pytest.param("standard", marks=pytest.mark.slow)])
def test_the_committed_statistics_are_those_of_the_committed_data(name, statistics):
    statistics = statistics if name == "mini" else store_statistics(open_store(MINI.parent / name))
    committed = json.loads((MINI.parent / name / "statistics.json").read_text())
    assert committed.keys() == statistics.keys()
    assert committed["store"] == statistics["store"]
    for family, entry in statistics["families"].items():
        for key in ("force", "energy", "torsions", "coverage", "autocorrelation", "inefficiency"):
            assert_close(committed["families"][family][key], entry[key])


def assert_close(first, second):
    """Numbers equal up to the last digit written, everything else equal."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_close(first[key], second[key])
    elif isinstance(first, list):
        assert len(first) == len(second)
        for a, b in zip(first, second, strict=True):
            assert_close(a, b)
    else:
        assert first == second or first == pytest.approx(second, rel=1e-3, abs=1e-4)


def test_figures_of_one_molecule_computed_another_way(mini, statistics):
    row = next(r for r in statistics["molecules"] if r["name"] == "hexane")
    index = next(i for i, g in enumerate(mini.graphs) if g.molecule.name == "hexane")
    forces, energies, angles = [], [], {0: [], 1: []}
    torsions = backbone_torsions(mini.graphs[index])
    for k in np.flatnonzero(mini.molecule == index):
        own = slice(mini.offsets[k], mini.offsets[k + 1])
        forces.extend(np.sqrt((mini.forces[own].astype(float) ** 2).sum(axis=1)))
        energies.append(mini.energy[k])
        angles[int(mini.set[k])].extend(torsion_angles(mini.positions[own][None], torsions)[0])
    assert row["force_mean"] == pytest.approx(np.mean(forces), rel=1e-4)
    assert row["energy_std"] == pytest.approx(np.std(energies), rel=1e-4)
    for code, name in enumerate(("primary", "secondary")):
        assert row["trans"][name] == pytest.approx(np.mean(np.abs(angles[code]) > 120), rel=1e-4)
    assert row["frames"] == {"primary": 40, "secondary": 30} and row["segments"] == 16 and row["torsions"] == 3


def test_families_add_up(statistics):
    families = statistics["families"]
    every = families[ALL]
    parts = [entry for name, entry in families.items() if name != ALL]
    assert len(parts) == 10
    for key in ("molecules", "frames", "segments", "rejected"):
        assert sum(entry[key] for entry in parts) == every[key]
    for key in ("force", "energy"):
        total = np.sum([entry[key]["histogram"] for entry in parts], axis=0)
        assert total.tolist() == every[key]["histogram"]
    assert sum(every["force"]["histogram"]) == statistics["atoms"]
    assert sum(every["energy"]["histogram"]) == statistics["frames"] == 8260
    for name in ("primary", "secondary"):
        assert sum(every["torsions"][name]["histogram"]) == pytest.approx(1.0, abs=1e-3)
        assert every["torsions"][name]["trans"] + every["torsions"][name]["gauche"] == pytest.approx(1.0)


def test_what_is_known_of_the_mini_set(statistics):
    assert statistics["spacing"] == 10.0
    assert 295 < statistics["temperature"]["primary"] < 309
    every = statistics["families"][ALL]
    assert every["rejected"] == 0 and every["rejected_fraction"] == 0.0
    # Frames 10 fs apart hardly turn a bond: five frames of a segment are one where torsions are concerned.
    assert every["inefficiency"]["torsions"] > 4 > every["inefficiency"]["energy"] > 1
    ethane = statistics["molecules"][0]
    assert ethane["torsions"] == 0 and ethane["trans"]["primary"] is None and ethane["coverage"] is None


def test_a_store_that_knows_no_times_temperatures_families_nor_sets(tmp_path, toy_content):
    """As an importer leaves it: numbers of frames for times, NaN for temperatures, one set, rejected frames."""
    manifest, graphs, trajectories = toy_content
    manifest = dataclasses.replace(
        manifest,
        settings={"time": "number of the frame, where the file states no time"},
        rejected=({"molecule": "water", "reason": "bonds changed", "frames": 3},),
    )
    graphs = [
        dataclasses.replace(g, molecule=dataclasses.replace(g.molecule, family=None, n=None, ends=None)) for g in graphs
    ]
    kept = [
        dataclasses.replace(t, temperature=np.full(4, np.nan, np.float32)) for t in trajectories if t.set == "primary"
    ]
    write_store(tmp_path / "imported", manifest, graphs, kept)
    found = store_statistics(open_store(tmp_path / "imported"))
    assert found["spacing"] is None and found["temperature"] == {"primary": None, "secondary": None}
    assert list(found["families"]) == [OTHER, ALL]
    assert found["rejected_frames"] == 3 and found["families"][ALL]["rejected"] == 0
    assert found["families"][ALL]["coverage"] is None
    assert found["families"][ALL]["torsions"]["primary"]["histogram"] is None
    json.loads(statistics_json(found))


def test_rejected_trajectories_are_counted_by_family(tmp_path, toy_content):
    manifest, graphs, trajectories = toy_content
    record = {"molecule": "water", "set": "primary", "segment": 0, "attempt": 0, "reason": "bond O0-H1 broke at 2.1 Å"}
    manifest = dataclasses.replace(manifest, rejected=(record, {**record, "attempt": 1, "reason": "SCF failed: no"}))
    write_store(tmp_path / "store", manifest, graphs, trajectories)
    found = store_statistics(open_store(tmp_path / "store"))
    assert found["families"]["alkane"]["rejected"] == found["families"][ALL]["rejected"] == 2
    assert found["families"][ALL]["rejected_fraction"] == pytest.approx(2 / 10)
    assert found["rejected_reasons"] == {"bond broke": 1, "SCF failed": 1}


def test_single_frames_are_a_store_too(tmp_path, toy_content):
    manifest, graphs, trajectories = toy_content
    names = ("positions", "forces", "energy", "time", "temperature")
    single = [dataclasses.replace(t, **{name: getattr(t, name)[:1] for name in names}) for t in trajectories]
    write_store(tmp_path / "store", manifest, graphs, single)
    found = store_statistics(open_store(tmp_path / "store"))
    assert found["spacing"] is None
    assert found["families"][ALL]["autocorrelation"]["energy"] == []
    assert found["families"][ALL]["inefficiency"]["energy"] is None


def test_json_is_stable_and_explains_itself(mini, statistics):
    text = statistics_json(statistics)
    assert statistics_json(json.loads(text)) == text
    assert json.loads(text)["notes"] == NOTES
    assert len(text) < 150_000
