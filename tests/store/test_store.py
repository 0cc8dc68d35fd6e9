import io
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.errors import DataError
from compbench_jax.store.frames import offsets_of, ragged_indices
from compbench_jax.store.manifest import file_sha256
from compbench_jax.store.store import FILES, open_store
from compbench_jax.store.writer import write_store


def edit_manifest(folder, change):
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_round_trip_keeps_every_value(toy_store, toy_content):
    _, graphs, trajectories = toy_content
    store = open_store(toy_store, checksums=True)
    assert store.n_frames == 32
    for t in trajectories:
        frames = store.select(t.molecule, t.set)
        frames = frames[store.segment[frames] == t.segment]
        got = store.gather(frames)
        np.testing.assert_array_equal(got.positions.reshape(t.positions.shape), t.positions)
        np.testing.assert_array_equal(got.forces.reshape(t.forces.shape), t.forces)
        np.testing.assert_array_equal(got.energy, t.energy)
        np.testing.assert_array_equal(got.numbers, np.tile(graphs[t.molecule].numbers, 4))
        np.testing.assert_array_equal(store.time[frames], t.time)
    for graph, again in zip(graphs, store.graphs, strict=True):
        assert again.molecule == graph.molecule
        np.testing.assert_array_equal(again.bonds, graph.bonds)
        np.testing.assert_array_equal(again.environments, graph.environments)


def test_bytes_do_not_depend_on_the_order_given(tmp_path, toy_content):
    manifest, graphs, trajectories = toy_content
    write_store(tmp_path / "a", manifest, graphs, trajectories)
    write_store(tmp_path / "b", manifest, graphs, trajectories[::-1])
    for name in [*FILES, "manifest.json"]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_gather_takes_frames_in_the_order_asked_for(toy_store):
    store = open_store(toy_store)
    order = np.array([31, 0, 17, 0])
    got = store.gather(order)
    assert got.offsets.tolist() == offsets_of([2, 3, 2, 3]).tolist()
    for row, k in enumerate(order):
        own = got.positions[got.offsets[row] : got.offsets[row + 1]]
        np.testing.assert_array_equal(own, store.positions[store.offsets[k] : store.offsets[k + 1]])
    assert store.gather([]).n_frames == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6)), max_size=20))
def test_ragged_indices(runs):
    expected = [i for start, length in runs for i in range(start, start + length)]
    assert ragged_indices([r[0] for r in runs], [r[1] for r in runs]).tolist() == expected


@pytest.mark.parametrize("name", sorted(FILES))
def test_one_flipped_byte_is_found_in_every_array(toy_store, name):
    path = toy_store / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} differs from its SHA-256"):
        open_store(toy_store, checksums=True)


@pytest.mark.parametrize("name", sorted(FILES))
def test_truncated_array(toy_store, name):
    path = toy_store / name
    os.truncate(path, path.stat().st_size - 3)
    with pytest.raises(DataError, match=rf"{name} is truncated"):
        open_store(toy_store)


def test_pickled_array_is_refused_unread(toy_store):
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], object), allow_pickle=True)
    (toy_store / "energy.npy").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="not a plain array"):
        open_store(toy_store)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(version=2), "version 2, this program reads up to 1: upgrade"),
        (lambda m: m.update(format="other"), "is not the manifest"),
        (lambda m: m["units"].update(energy="kcal/mol"), "states units"),
        (lambda m: m.pop("level"), "is damaged"),
        (lambda m: m["files"].pop("time.npy"), "other arrays than a data set has"),
        (
            lambda m: m["files"].update({"../evil.npy": m["files"]["time.npy"]}),
            "other arrays than a data set has",
        ),
        (lambda m: m["n_atoms"].__setitem__(0, 4), "the molecules need"),
        (lambda m: m["molecules"].pop(), "names a molecule that the manifest does not list"),
        (lambda m: m["files"]["energy.npy"].update(shape=[31]), "the manifest promises"),
    ],
)
def test_bad_manifests(toy_store, change, message):
    edit_manifest(toy_store, change)
    with pytest.raises(DataError, match=message) as caught:
        open_store(toy_store)
    assert "\n" not in str(caught.value)


def test_missing_pieces(toy_store, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_store(tmp_path / "nowhere")
    (toy_store / "forces.npy").unlink()
    with pytest.raises(DataError, match=r"forces\.npy is missing"):
        open_store(toy_store)
    (toy_store / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        open_store(toy_store)
    (toy_store / "manifest.json").unlink()
    with pytest.raises(DataError, match="not a finished data set"):
        open_store(toy_store)


@pytest.mark.parametrize("key", ["positions", "forces", "energy"])
def test_values_that_are_not_finite_are_refused_when_written(tmp_path, toy_content, key):
    manifest, graphs, trajectories = toy_content
    getattr(trajectories[3], key)[2] = np.nan
    with pytest.raises(DataError, match=rf"water, secondary segment 1: frame 2 has a {key} that is not finite"):
        write_store(tmp_path / "nan", manifest, graphs, trajectories)
    assert not (tmp_path / "nan").exists()


def test_wrong_shape_is_refused(tmp_path, toy_content):
    manifest, graphs, trajectories = toy_content
    with pytest.raises(DataError, match="do not fit 4 frames of 2 atoms"):
        write_store(tmp_path / "x", manifest, [graphs[1], graphs[1]], trajectories)
    with pytest.raises(DataError, match="no frames"):
        write_store(tmp_path / "x", manifest, graphs, [])


@pytest.mark.parametrize("writes_before_full", [0, 1, 5, len(FILES)])
def test_full_disk_leaves_nothing_that_passes_for_a_store(toy_store, toy_content, monkeypatch, writes_before_full):
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > writes_before_full:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        write_store(toy_store, *toy_content)
    assert not list(toy_store.glob("*.tmp")) and not list(toy_store.glob(".*.tmp"))
    with pytest.raises(DataError, match="not a finished data set"):
        open_store(toy_store)


def test_checksums_in_the_manifest_are_those_of_the_files(toy_store):
    store = open_store(toy_store)
    for name, entry in store.manifest.files.items():
        assert file_sha256(toy_store / name) == entry.sha256
