"""The data sets in the repository: whole, sound, of the settings and the size that they are said to have."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from compbench_jax.labelling.settings import PRESETS
from compbench_jax.splits.contacts import contact_pairs
from compbench_jax.splits.controls import Contacts
from compbench_jax.store.published import PUBLISHED
from compbench_jax.store.store import open_store
from compbench_jax.store.verify import verify
from compbench_jax.tasks import get_task

DATA = Path(__file__).parents[2] / "data"
MEGABYTES = {"mini": 6, "standard": 36, "pairs": 5, "acids": 12, "pbe_mini": 3}
FAMILIES = {"alkane", "alcohol", "amine", "aldehyde", "acid", "diol", "diamine", "dialdehyde", "diacid", "amino acid"}


@pytest.mark.parametrize("name", MEGABYTES)
def test_it_is_whole_and_sound(name):
    assert f"data/{name}" in PUBLISHED.values()
    assert sum(file.stat().st_size for file in (DATA / name).iterdir()) < 1e6 * MEGABYTES[name]
    store = open_store(DATA / name, checksums=True)
    assert [check.detail for check in verify(store, sample=0, seed=0) if not check.passed] == []


@pytest.mark.parametrize("name", ["mini", "standard"])
def test_it_is_of_its_preset(name):
    manifest = json.loads((DATA / name / "manifest.json").read_text())
    settings = {"preset": name, **asdict(PRESETS[name])}
    # Settings that the version of then did not have are left out.
    assert manifest["settings"] == {key: settings[key] for key in manifest["settings"]}
    assert {"time_step", "equilibration", "primary_frames", "seed"} <= manifest["settings"].keys()
    store = open_store(DATA / name)
    assert store.n_frames == 118 * (settings["primary_frames"] + settings["secondary_frames"])
    assert not manifest["rejected"]


def test_dft_labels_are_of_geometries_of_the_mini_set():
    mini, dft = open_store(DATA / "mini"), open_store(DATA / "pbe_mini")
    assert {graph.molecule.family for graph in dft.graphs} == FAMILIES and len(dft.graphs) == 16
    assert max(graph.molecule.n for graph in dft.graphs) <= 5
    assert (np.bincount(dft.molecule) >= 10).all()
    missing = {"ethane-1,2-diol", "propanedial"}  # of the extension, no longer in data/mini
    place = {graph.molecule.inchikey: m for m, graph in enumerate(mini.graphs)}
    for m, graph in enumerate(dft.graphs):
        if graph.molecule.name in missing:
            continue
        own = dft.gather(np.flatnonzero(np.asarray(dft.molecule) == m))
        there = mini.gather(np.flatnonzero(np.asarray(mini.molecule) == place[graph.molecule.inchikey]))
        known = {frame.tobytes() for frame in there.positions.reshape(there.n_frames, -1)}
        assert all(frame.tobytes() in known for frame in own.positions.reshape(own.n_frames, -1))
        # Other labels of the same geometries: close, since both are good, and not the same.
        tight = {f.tobytes(): g for f, g in zip(there.positions.reshape(there.n_frames, -1),
                                                there.forces.reshape(there.n_frames, -1), strict=True)}  # fmt: skip
        pairs = zip(own.positions.reshape(own.n_frames, -1), own.forces.reshape(own.n_frames, -1), strict=True)
        errors = np.concatenate([forces - tight[frame.tobytes()] for frame, forces in pairs])
        assert 0.05 < np.abs(errors).mean() < 0.6


def test_acids_have_as_many_training_frames_as_the_paper_s_and_begin_as_in_the_standard_set():
    standard, store = open_store(DATA / "standard"), open_store(DATA / "acids")
    place = {graph.molecule.inchikey: m for m, graph in enumerate(standard.graphs)}
    trained = get_task("fragment_duplication").molecules(store.graphs).train
    assert trained == get_task("fragment_fission").molecules(store.graphs).train and len(trained) == 6
    for m, graph in enumerate(store.graphs):
        there = place[graph.molecule.inchikey]
        for name, frames in (("primary", 2013 if m in trained else 300), ("secondary", 150)):
            own, same = store.gather(store.select(m, name)), standard.gather(standard.select(there, name))
            assert own.n_frames == frames
            np.testing.assert_array_equal(own.positions[: len(same.positions)], same.positions)
            np.testing.assert_array_equal(own.forces[: len(same.forces)], same.forces)


def test_pairs_are_of_two_acids_in_contact_and_the_molecules_are_those_of_the_standard_set():
    standard, store = open_store(DATA / "standard"), open_store(DATA / "pairs")
    alone = [m for m, graph in enumerate(store.graphs) if len(graph.molecule.parts) == 1]
    acids = {store.graphs[m].molecule.smiles for m in alone if store.graphs[m].molecule.family == "acid"}
    pairs = [graph.molecule.parts for graph in store.graphs[len(alone) :]]
    assert len(alone) == 12 and len(acids) == 6 and len({tuple(sorted(parts)) for parts in pairs}) == len(pairs) == 21
    assert acids.issuperset(part for parts in pairs for part in parts)
    place = {graph.molecule.inchikey: m for m, graph in enumerate(standard.graphs)}
    for m in alone:
        own = store.gather(np.flatnonzero(store.molecule == m))
        there = standard.gather(np.flatnonzero(standard.molecule == place[store.graphs[m].molecule.inchikey]))
        for key in ("positions", "forces", "energy"):
            np.testing.assert_array_equal(getattr(own, key), getattr(there, key))
    task = get_task("fragment_duplication")
    without, together = (contact_pairs(store, item.split(store).train) for item in (task, Contacts(task)))
    assert ("C(COO)", "C(COO)") in together - without and ("H(O)", "O(C)") in together
