"""One device, four, and two processes train the same run. Other devices need other processes: XLA counts them once."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.training import processes
from compbench_jax.training.checkpoint import Checkpoints
from compbench_jax.training.data import build_data, evaluation_batches, normalisation_of
from compbench_jax.training.loaded_run import load_members
from compbench_jax.training.log import read_log
from compbench_jax.training.mesh import Layout, make_layout
from compbench_jax.training.processes import connect, launched_together
from compbench_jax.training.settings import ProcessSettings

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = 50


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": cache, "COMPBENCH_NO_MALLOC_TUNING": "1"}


def command(store, run, *words):
    watch = ["--watch.log-every", "1", "--watch.validate-every", "20", "--watch.monitor-frames", "0"]
    model = ["model:schnet", "--model.features", "4", "--model.interactions", "1", "--model.n-basis", "4"]
    where = ["--task", "chain_extension", "--data", str(store.path), "--out", str(run), "--steps", str(STEPS)]
    return [sys.executable, str(ROOT / "train.py"), *where, *watch, *words, *model]


def train(words, environment, devices=1):
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(words, env={**environment, "XLA_FLAGS": flags}, stderr=subprocess.PIPE, text=True)


def finish(*trainings):
    said = [process.communicate(timeout=540)[1] for process in trainings]
    assert [process.returncode for process in trainings] == [0] * len(trainings), "\n".join(said)
    return said


def curve(run):
    lines = [line for line in read_log(run / "log.jsonl") if line["event"] in ("train", "validation")]
    return [line.get("loss", line.get("validation_loss")) for line in lines]


@pytest.fixture(scope="module")
def one_device(store, environment, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "one"
    finish(train(command(store, run, "--seeds", "2"), environment))
    assert len(curve(run)) == 2 * (STEPS + 3)
    return run


def test_four_devices_give_the_same_losses_and_one_resumes_their_run(one_device, store, environment, tmp_path):
    run = tmp_path / "four"
    words = command(store, run, "--seeds", "2", "--device.mesh", "2x2", "--device.steps-per-dispatch", "5")
    (said,) = finish(train(words, environment, devices=4))
    assert "mesh seed 2 × batch 2" in said
    np.testing.assert_allclose(curve(run), curve(one_device), rtol=1e-5)
    Checkpoints(run).manager.delete(STEPS)
    shutil.rmtree(run / "checkpoints" / str(STEPS), ignore_errors=True)
    (said,) = finish(train(command(store, run, "--seeds", "2"), environment))
    assert f"resuming at step 40 of {STEPS}" in said
    np.testing.assert_allclose(curve(run), curve(one_device), rtol=1e-5)


@pytest.mark.parametrize("n_batch", [1, 2, 5])
def test_every_device_validates_its_share_of_the_frames(store, split, n_batch):
    data = build_data(store, split, normalisation_of(store.gather(split.train), 3.0), 3.0, 2, 0)
    batches = list(evaluation_batches(data.validation, Layout(None, 1, n_batch)))
    whole = len(data.validation.sequential())
    assert len(batches) == -(-whole // n_batch) and whole > 1
    frames = np.stack([np.asarray(graph.globals["frame"]) for graph in batches])
    assert frames.shape[:2] == (len(batches), n_batch)
    assert sorted(frames[frames >= 0].tolist()) == list(range(data.validation.n_frames))


def test_a_member_that_diverges_does_not_stop_the_one_on_another_device(store, environment, tmp_path):
    rates = ["--learning-rates", "1e-3", "1e30", "--device.mesh", "2x1", "--device.steps-per-dispatch", "5"]
    (said,) = finish(train(command(store, tmp_path / "run", *rates), environment, devices=2))
    assert "mesh seed 2 × batch 1" in said
    assert "member 1 (seed 0, learning rate 1e+30) stops at step" in " ".join(said.split())
    first, second = load_members(tmp_path / "run", "latest")
    assert (first.step, first.stopped) == (STEPS, 0) and second.stopped
    last = [line for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "train"][-2:]
    assert [line["loss"] is None for line in last] == [False, True]


def two_processes(environment, words):
    """Two trainings of the same run, started together; ``words(k)`` is the command of process k but for these."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", "2", "--process-id"]
    return [train(words(k, *together, str(k)), environment) for k in range(2)]


def test_two_processes_give_the_same_losses(one_device, store, environment, tmp_path):
    run = tmp_path / "two"
    settings = ["--seeds", "2", "--device.mesh", "1x2"]
    said = finish(*two_processes(environment, lambda k, *words: command(store, run, *settings, *words)))
    assert "trained 50 steps" in said[0]
    assert "trained" not in said[1]
    np.testing.assert_allclose(curve(run), curve(one_device), rtol=1e-5)
    for a, b in zip(load_members(run, "latest"), load_members(one_device, "latest"), strict=True):
        assert a.step == b.step == STEPS
        for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6)


def test_two_processes_read_their_own_parts_of_each_batch_from_the_disk(one_device, store, environment, tmp_path):
    run = tmp_path / "disk"

    def words(k, *together):
        python, _, *rest = command(
            store, run, "--seeds", "2", "--device.mesh", "1x2", "--device.data", "disk", *together
        )
        return [python, str(ROOT / "benchmarks" / "scale.py"), "record", str(tmp_path / f"{k}.jsonl"), *rest]

    said = finish(*two_processes(environment, words))
    assert "read from the disk" in said[0]
    np.testing.assert_allclose(curve(run), curve(one_device), rtol=1e-5)
    reads = [[json.loads(line) for line in (tmp_path / f"{k}.jsonl").read_text().splitlines()] for k in range(2)]
    n_train, n_validation = 60, 10
    for size in (n_train, n_validation):
        first, second = ([item["frames"] for item in rows if item["of"] == size] for rows in reads)
        assert len(first) == len(second)
        assert all(not set(a) & set(b) for a, b in zip(first, second, strict=True))
        if size == n_train:  # of each seed in turn: 8 batches an epoch
            assert len(first) == 2 * STEPS
            assert sorted(np.concatenate(first[0:16:2] + second[0:16:2]).tolist()) == list(range(n_train))


def test_all_processes_have_the_arrays_of_the_first(environment):
    code = """
import sys, numpy as np
from compbench_jax.training.processes import connect, from_first
from compbench_jax.training.settings import ProcessSettings
connect(ProcessSettings(sys.argv[2], int(sys.argv[4]), int(sys.argv[6])), distributed=False)
got = from_first([{"w": np.full(3, 0.5 + int(sys.argv[6]), np.float32)}])
assert got[0]["w"].tolist() == [0.5] * 3 and got[0]["w"].dtype == np.float32
"""
    finish(*two_processes(environment, lambda k, *words: [sys.executable, "-c", code, *words]))


def test_a_signal_to_one_process_stops_both_within_seconds(store, environment, tmp_path):
    run = tmp_path / "run"
    settings = ["--device.mesh", "1x2", "--steps", "1000000", "--watch.validate-every", "1000000"]
    trainings = two_processes(environment, lambda k, *words: command(store, run, *settings, *words))
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not ((run / "log.jsonl").exists() and len(curve(run)) > 10):
        time.sleep(0.2)
    trainings[1].send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=120)[1] for process in trainings]
    assert [process.returncode for process in trainings] == [143, 143], said
    assert "stopped by SIGTERM" in said[0]
    assert Checkpoints(run, read_only=True).steps()


class Clocked:
    """Two processes that have taken the same steps of so many seconds; the other one is told to stop at a time."""

    def __init__(self, monkeypatch, seconds, stop_at):
        self.now, self.seconds, self.stop_at, self.collectives = 0.0, seconds, stop_at, 0
        monkeypatch.setattr(jax, "process_count", lambda: 2)
        monkeypatch.setattr(processes.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(processes, "largest", self.largest)

    def largest(self, values):
        self.collectives += 1
        return [max(values[0], 15 if self.now >= self.stop_at else 0), *values[1:]]


@pytest.mark.parametrize("seconds", [0.001, 0.05, 5.0])
def test_processes_agree_every_few_seconds_and_not_at_every_step(monkeypatch, seconds):
    told = Clocked(monkeypatch, seconds, stop_at=60.0)
    agreement, steps = processes.Agreement(), 0
    told.now = 30.0  # compiling
    while agreement.largest([0, 0])[0] == 0:
        steps += 1
        told.now += seconds
    assert told.now - told.stop_at <= max(2 * processes.AGREE_SECONDS, 2 * seconds)
    assert told.collectives <= 30
    assert steps >= told.collectives - 1


@pytest.mark.parametrize(
    ("setting", "members", "devices", "expected"),
    [
        ("auto", 8, 4, (4, 1)),
        ("auto", 3, 4, (1, 4)),
        ("auto", 6, 4, (2, 2)),
        ("auto", 5, 1, (1, 1)),
        ("2x1", 2, 4, (2, 1)),
    ],
)
def test_devices_go_to_members_first(setting, members, devices, expected):
    layout = make_layout(setting, members, [FakeDevice(k) for k in range(devices)])
    assert (layout.n_seed, layout.n_batch) == expected
    assert (layout.mesh is None) == (expected == (1, 1))


class FakeDevice:
    """As much of a device as a mesh asks for."""

    def __init__(self, number):
        self.id, self.process_index, self.platform, self.device_kind = number, 0, "cpu", "cpu"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("4", "give auto or two numbers"),
        ("0x2", "give auto or two numbers"),
        ("2x1", "divides the number"),
        ("3x2", "6 devices"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(setting, message):
    with pytest.raises(RunError, match=message):
        make_layout(setting, 3, [FakeDevice(k) for k in range(4)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ProcessSettings("here", 2, 0), "give HOST:PORT"),
        (ProcessSettings("here:1234", 2, 2), "--process-id is 2 of --num-processes 2"),
        (ProcessSettings("here:1234"), "--process-id is -1"),
    ],
)
def test_an_incomplete_coordinator_is_refused(settings, message):
    with pytest.raises(RunError, match=message):
        connect(settings, distributed=False)


def test_schedulers_are_noticed_by_what_they_set():
    assert not launched_together({})
    assert not launched_together({"SLURM_NTASKS": "4"})  # inside an allocation, but not started by srun
    assert not launched_together({"SLURM_NTASKS": "1", "SLURM_STEP_NODELIST": "n1"})
    assert launched_together({"SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "n[1-2]"})
    assert launched_together({"TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"})
    assert not launched_together({"TPU_WORKER_HOSTNAMES": "localhost"})
