"""Trained potentials that come with the package."""

import json
from dataclasses import replace

import chex
import jax
import numpy as np
import pytest
from toy_store import make_split, make_store

import compbench_jax as cb
from compbench_jax.cli.main import run_command
from compbench_jax.deploy import weights
from compbench_jax.errors import CompBenchError, RunError


class Toy:
    """A task of the toy molecules."""

    name = "chain_extension"

    def split(self, data):
        return make_split(data)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "data"
    make_store(folder)
    return cb.load_data(folder)


@pytest.fixture(scope="module")
def packed(data, tmp_path_factory):
    """A run, its results, and the folder of its weights, called small."""
    folder = tmp_path_factory.mktemp("weights")
    model = replace(cb.MODELS["schnet"], features=8, interactions=1, n_basis=4, cutoff=3.0)
    run = cb.train(model, data, Toy(), out=folder / "run", steps=4, batch_size=2)
    result = cb.evaluate(run, data, Toy(), out=run)
    weights.pack(run, "small", folder / "kept")
    return run, result, folder / "kept"


def test_weights_are_the_run_they_came_from(packed, data, tmp_path):
    run, result, folder = packed
    assert weights.names(folder) == ["small"]
    loaded = weights.load("small", folder)
    unpacked = cb.load_potential(weights.unpack("small", tmp_path / "again", folder)).run
    original = cb.load_potential(run).run
    for item in (loaded, unpacked):
        assert (item.potential, item.config) == (original.potential, original.config)
        chex.assert_trees_all_equal(item.params, original.params)
    card = weights.read_card("small", folder)
    assert card["force_mae"]["ood"] == result["ood"]["force_mae"]["value"]
    assert (card["task"], card["seed"], card["data"]) == ("chain_extension", 0, data.hash)
    with pytest.raises(RunError, match="already holds a run"):
        weights.unpack("small", tmp_path / "again", folder)


def test_damaged_and_unknown_weights_are_refused(packed, tmp_path):
    _, _, folder = packed
    with pytest.raises(CompBenchError, match="did you mean 'small'"):
        weights.load("smal", folder)
    here = tmp_path / "small"
    here.mkdir()
    for path in (folder / "small").iterdir():
        (here / path.name).write_bytes(path.read_bytes())
    (here / weights.PARAMETERS).write_bytes(b"x")
    with pytest.raises(CompBenchError, match="is not the file that its card names"):
        weights.load("small", tmp_path)
    (here / weights.CARD).write_text("[]")
    with pytest.raises(CompBenchError, match="no card of this version"):
        weights.load("small", tmp_path)


@pytest.mark.parametrize("name", weights.names())
def test_the_weights_of_the_package_load_and_say_what_they_are(name):
    card, loaded = weights.read_card(name), weights.load(name)
    assert loaded.config["task"] == card["task"] and loaded.config["data_hash"] == card["data"]
    assert card["force_mae"]["ratio"] == pytest.approx(card["force_mae"]["ood"] / card["force_mae"]["id"], rel=1e-4)
    split = json.loads((weights.FOLDER / name / "split.json").read_text())
    assert split["task"] == card["task"] and split["data"] == card["data"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(loaded.params))


def test_the_command_lists_and_unpacks_them(capsys, tmp_path):
    run_command(["weights", "list"])
    listed = capsys.readouterr().out
    assert weights.names() and all(name in listed for name in weights.names())
    name = weights.names()[0]
    run_command(["weights", "get", name, "--out", str(tmp_path / "run")])
    assert str(tmp_path / "run") in capsys.readouterr().out
    assert (tmp_path / "run" / "config.json").exists()
    with pytest.raises(CompBenchError, match="takes a NAME"):
        run_command(["weights", "get"])
