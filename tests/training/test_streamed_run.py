"""Runs whose training frames stay on the disk."""

import json
import shutil

import numpy as np
import pytest
from test_run import PowerCut, assert_same_run, comparable, cut_at
from training_store import make_configuration

from compbench_jax.batching import packing
from compbench_jax.batching.streamed import StreamedFrames, frame_sizes
from compbench_jax.errors import RunError
from compbench_jax.training import data
from compbench_jax.training.batches import BatchSource
from compbench_jax.training.data import build_data, normalisation_of, streamed_normalisation
from compbench_jax.training.mesh import ALONE
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import DeviceSettings

DISK, HOST = DeviceSettings(data="disk"), DeviceSettings(data="host")


def test_frames_on_the_disk_train_the_same_potential_bit_for_bit(store, split, tmp_path):
    train_run(make_configuration(store, device=HOST), store, split, tmp_path / "host")
    (tmp_path / "disk").mkdir()
    # Sums of the normalisation may differ in their last bits.
    shutil.copy(tmp_path / "host" / "potential.json", tmp_path / "disk")
    train_run(make_configuration(store, device=DISK), store, split, tmp_path / "disk")
    assert_same_run(tmp_path / "host", tmp_path / "disk")


def test_the_normalisation_is_that_of_frames_in_memory(store, split):
    known = normalisation_of(store.gather(split.train), 3.0)
    found = streamed_normalisation(store, split.train, frame_sizes(store, split.train, 3.0))
    assert found.elements == known.elements
    np.testing.assert_allclose(found.reference_energies, known.reference_energies, rtol=1e-10)
    assert found.scale == pytest.approx(known.scale, rel=1e-12)
    assert found.average_neighbours == known.average_neighbours


def test_a_run_shuffled_by_buffer_resumes_bit_for_bit(store, split, tmp_path, monkeypatch):
    for name, value in (("WHOLE", 20), ("BUFFER", 15), ("BLOCK", 2)):
        monkeypatch.setattr(packing, name, value)
    configuration = make_configuration(store, device=DISK)
    train_run(configuration, store, split, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        cut_at(patch, 13)
        train_run(configuration, store, split, tmp_path / "cut")
    train_run(configuration, store, split, tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    lines = [line for line in comparable(tmp_path / "whole") if line["event"] == "train"]
    assert [line["epoch"] for line in lines] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_size_decides_where_frames_are(store, split, monkeypatch):
    estimate = data.size_in_memory(store, split.train, 3.0)
    frames = store.gather(split.train)
    assert estimate == pytest.approx(32 * len(frames.numbers) + 8 * data.count_edges(frames, 3.0)[0].sum())
    choices = {where: data.stay_on_disk(store, split.train, 3.0, where) for where in ("auto", "device", "host", "disk")}
    assert choices == {"auto": False, "device": False, "host": False, "disk": True}
    monkeypatch.setattr(data, "MOST_IN_MEMORY", estimate - 1)
    assert data.stay_on_disk(store, split.train, 3.0, "auto")
    assert not data.stay_on_disk(store, split.train, 3.0, "host")


def test_offsets_beyond_32_bits_stay_off_the_device(store, split, monkeypatch):
    normalisation = normalisation_of(store.gather(split.train), 3.0)
    train = build_data(store, split, normalisation, 3.0, 4, 0).train
    assert BatchSource(train, make_configuration(store), ALONE).on_device
    monkeypatch.setattr("compbench_jax.batching.device.MOST", 100)
    assert not BatchSource(train, make_configuration(store), ALONE).on_device
    with pytest.raises(RunError, match=r"--device\.data host"):
        BatchSource(train, make_configuration(store, device=DeviceSettings(data="device")), ALONE)


def test_the_run_folder_keeps_the_counts_and_the_log_says_where_frames_are(store, split, tmp_path):
    train_run(make_configuration(store, device=DISK, steps=2), store, split, tmp_path / "run")
    assert len(list((tmp_path / "run").glob("edges-*.npy"))) == 2
    start = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert start["data"] == "disk"
    both = build_data(store, split, normalisation_of(store.gather(split.train), 3.0), 3.0, 4, 0, on_disk=True)
    assert isinstance(both.train, StreamedFrames) and isinstance(both.validation, StreamedFrames)
