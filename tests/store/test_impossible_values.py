"""A store whose sums fit but whose values cannot be is refused when it is opened."""

import json
import os

import numpy as np
import pytest

from compbench_jax.errors import DataError
from compbench_jax.store.manifest import file_sha256
from compbench_jax.store.store import open_store


def rewrite(folder, name, change):
    """Change an array and its sum in the manifest."""
    array = np.load(folder / f"{name}.npy")
    change(array)
    np.save(folder / f"{name}.npy", array)
    content = json.loads((folder / "manifest.json").read_text())
    content["files"][f"{name}.npy"]["sha256"] = file_sha256(folder / f"{name}.npy")
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("set", 3, -1, r"set\.npy has the impossible value -1 at frame 3"),
        ("set", 3, 2, r"set\.npy has the impossible value 2"),
        ("segment", 0, -7, r"segment\.npy has the impossible value -7"),
        ("time", 5, np.inf, r"time\.npy has the impossible value inf at frame 5"),
        ("temperature", 5, -1, r"temperature\.npy has the impossible value -1"),
        ("bonds", (0, 0), -1, r"bonds\.npy joins atoms of water that do not exist"),
        ("bonds", (0, 1), 3, r"bonds\.npy joins atoms of water that do not exist"),
        ("bonds", (1, 1), 1, r"bonds\.npy has a bond of water twice"),
        ("numbers", 0, 0, "atomic number that is not 1 to 118"),
        ("numbers", 0, 119, "atomic number that is not 1 to 118"),
        ("molecule", 0, -1, "names a molecule that the manifest does not list"),
    ],
)
def test_arrays(toy_store, name, place, value, message):
    rewrite(toy_store, name, lambda array: array.__setitem__(place, value))
    with pytest.raises(DataError, match=message) as caught:
        open_store(toy_store)
    assert "\n" not in str(caught.value) and str(toy_store) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("forces", 3e38), ("positions", -1e7), ("energy", 1e300), ("forces", np.nan)]
)
def test_labels_that_no_molecule_has(toy_store, name, value):
    rewrite(toy_store, name, lambda array: array.reshape(-1).__setitem__(-1, value))
    open_store(toy_store)  # without sums the large arrays are not read
    with pytest.raises(DataError, match=rf"frame 31 \(nitrogen\) has {name} that are not finite or impossibly large"):
        open_store(toy_store, checksums=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("tuning_frames", 1.5), ("tuning_frames", -1), ("tuning_frames", True), ("tuning_frames", "2"),
     ("n_atoms", [3, 2.0]), ("n_atoms", [3, 0]), ("n_bonds", [2, -1]), ("n_atoms", [10**30, 2]), ("n_atoms", 5),
     ("level", []), ("settings", 1), ("rejected", ["x"]), ("created", None),
     ("molecules", {}), ("files", 3), ("tuning_frames", 10**6)],
)  # fmt: skip
def test_manifest(toy_store, key, value):
    content = json.loads((toy_store / "manifest.json").read_text())
    (toy_store / "manifest.json").write_text(json.dumps({**content, key: value}))
    with pytest.raises(
        DataError, match=r"manifest\.json (is damaged|has 1000000 tuning frames)|lists other arrays"
    ) as caught:
        open_store(toy_store)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"), [("name", 3), ("n", -1), ("n", "2"), ("ends", ["H"]), ("ends", [1, 2]), ("more", 1)]
)
def test_molecules(toy_store, key, value):
    content = json.loads((toy_store / "manifest.json").read_text())
    content["molecules"][0][key] = value
    (toy_store / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        open_store(toy_store)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff\xfe", b"[]", b"null", b'{"format": "compbench-frames"}', b""]
)
def test_manifests_that_are_none(toy_store, content):
    (toy_store / "manifest.json").write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json") as caught:
        open_store(toy_store)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["manifest.json", "energy.npy"])
def test_pipes_and_folders_in_the_place_of_files(toy_store, name):
    (toy_store / name).unlink()
    os.mkfifo(toy_store / name)
    with pytest.raises(DataError, match=f"{name}|not a finished data set"):
        open_store(toy_store, checksums=True)
    (toy_store / name).unlink()
    (toy_store / name).mkdir()
    with pytest.raises(DataError, match=f"{name}|not a finished data set"):
        open_store(toy_store, checksums=True)


def test_an_archive_in_the_place_of_an_array(toy_store):
    np.savez(toy_store / "x.npz", a=np.zeros(3))
    (toy_store / "x.npz").rename(toy_store / "time.npy")
    with pytest.raises(DataError, match="not a plain array"):
        open_store(toy_store)
