import dataclasses
import shutil

import numpy as np
import pytest

from compbench_jax.labelling.settings import PRESETS
from compbench_jax.labelling.workers import ProcessExecutor
from compbench_jax.molecules.registry import find_molecule
from compbench_jax.store.generate import Plan, generate
from compbench_jax.store.store import open_store
from compbench_jax.store.verify import verify

SETTINGS = dataclasses.replace(
    PRESETS["mini"],
    primary_frames=4,
    primary_segments=1,
    secondary_frames=3,
    secondary_segments=1,
    tuning_frames=1,
)


@pytest.fixture(scope="module")
def ethane_store(tmp_path_factory):
    out = tmp_path_factory.mktemp("verify") / "store"
    plan = Plan(out, (find_molecule("ethane"),), "gfn2-xtb", SETTINGS, "mini")
    generate(plan, ProcessExecutor(1), lambda *_: None, lambda: None)
    return out


def failures(store):
    return {check.name: check.detail for check in verify(store, sample=7, seed=0) if not check.passed}


def changed(folder, tmp_path, name, change):
    """The store with one array changed in memory, as if written that way."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    store = open_store(copy)
    array = np.array(getattr(store, name))
    change(array)
    return dataclasses.replace(store, **{name: array})


def test_a_sound_store_passes(ethane_store):
    assert not failures(open_store(ethane_store, checksums=True))


@pytest.mark.parametrize(
    ("array", "change", "check"),
    [
        ("forces", lambda a: a.__setitem__((5, 0), a[5, 0] + 1e-3), "labels"),
        ("energy", lambda a: a.__setitem__(3, a[3] + 1e-3), "labels"),
        ("temperature", lambda a: a.__imul__(3.0), "kinetic temperature"),
        ("time", lambda a: a.__setitem__(1, a[0]), "order of frames"),
        ("positions", lambda a: a.__setitem__((0, 0), np.nan), "finite values"),
        ("positions", lambda a: a.__setitem__(8, a[8] + 3.0), "bonds"),
    ],
)
def test_each_kind_of_damage_is_named(ethane_store, tmp_path, array, change, check):
    assert check in failures(changed(ethane_store, tmp_path, array, change))


def test_a_molecule_that_is_not_what_it_is_called(ethane_store):
    store = open_store(ethane_store)
    (graph,) = store.graphs
    ethanol = dataclasses.replace(graph, molecule=find_molecule("ethanol"))
    assert "do not belong to CCO" in failures(dataclasses.replace(store, graphs=(ethanol,)))["molecules"]
