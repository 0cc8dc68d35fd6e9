import json
import re
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from training_store import EPSILON, SIGMA, PairConfig, make_configuration

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.errors import RunError
from compbench_jax.training.checkpoint import Checkpoints
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import DeviceSettings, OptimiserSettings, WatchSettings
from compbench_jax.training.trainer import Trainer


class PowerCut(BaseException):
    """Ends a run as a kill would, as far as what is on the disk goes."""


def cut_at(monkeypatch, step):
    """Let the step numbered ``step`` be the last that is dispatched."""
    original = Trainer._take

    def take(trainer, dispatch):
        if trainer.step >= step:
            raise PowerCut
        original(trainer, dispatch)

    monkeypatch.setattr(Trainer, "_take", take)


def comparable(run):
    """Lines of the log that must not depend on where a run was interrupted, without times."""
    timed = ("seconds", "structures_per_second", "host_fraction", "processor_fraction")
    lines = [line for line in read_log(run / "log.jsonl") if line["event"] in ("train", "validation")]
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


def assert_same_run(a, b):
    assert comparable(a) == comparable(b)
    for which in ("best", "latest"):
        first, second = load_run(a, which), load_run(b, which)
        assert first.step == second.step
        for x, y in zip(jax.tree.leaves(first.params), jax.tree.leaves(second.params), strict=True):
            assert x.tobytes() == y.tobytes()


@pytest.fixture(scope="module")
def whole(store, split, tmp_path_factory):
    """A run of 30 steps that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert train_run(make_configuration(store), store, split, run) is None
    return run


def test_loss_decreases_and_everything_is_written(whole, store, split):
    lines = read_log(whole / "log.jsonl")
    train = [line for line in lines if line["event"] == "train"]
    validation = [line for line in lines if line["event"] == "validation"]
    assert [line["step"] for line in train] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert [line["step"] for line in validation] == [10, 20, 30]
    assert train[-1]["loss"] < 0.8 * train[0]["loss"]
    assert validation[-1]["validation_loss"] < validation[0]["validation_loss"]
    for line in train:
        assert line["loss"] == pytest.approx(4 * line["energy_mae"] + 100 * line["force_l2_mae"])
        assert line["epoch"] == (line["step"] - 1) // 15
        assert line["structures_per_second"] > 0
    for line in validation:
        expected = 4 * line["validation_energy_mae"] + 100 * line["validation_force_l2_mae"]
        assert line["validation_loss"] == pytest.approx(expected)
        assert 0 < line["validation_force_mae"] < line["validation_force_l2_mae"]
        assert line["monitor_id_force_mae"] > 0
        assert line["monitor_ood_force_mae"] > 0
    summary = json.loads((whole / "split.json").read_text())
    assert {part: item["frames"] for part, item in summary["sets"].items()} == {
        part: len(frames) for part, frames in split.parts().items()
    }
    assert summary["sets"]["ood_test"]["molecules"] == ["alkane-7", "alkane-8"]
    assert json.loads((whole / "audit.json").read_text())["data"] == store.hash


def test_loaded_run_predicts_what_the_last_validation_saw(whole, store, split):
    best = min(
        (line for line in comparable(whole) if line["event"] == "validation"), key=lambda x: x["validation_loss"]
    )
    loaded = load_run(whole)
    assert loaded.step == best["step"]
    assert loaded.config["data_hash"] == store.hash
    frames = store.gather(split.validation)
    total, atoms = 0.0, 0
    params = loaded.params["params"]
    for i in range(frames.n_frames):
        own = slice(frames.offsets[i], frames.offsets[i + 1])
        vectors = frames.positions[own][:, None].astype(float) - frames.positions[own][None]
        distances = np.linalg.norm(vectors, axis=-1) + np.eye(own.stop - own.start) * 1e9
        a = (float(params["sigma"]) / distances) ** 6
        pull = 4 * float(params["epsilon"]) * (12 * a**2 - 6 * a) / distances**2
        forces = (pull[:, :, None] * vectors).sum(axis=1)
        total += np.abs(forces - frames.forces[own]).sum()
        atoms += own.stop - own.start
    assert best["validation_force_mae"] == pytest.approx(total / (3 * atoms), rel=1e-4)


@pytest.mark.parametrize(("cut", "checkpoint_seconds"), [(13, 1e9), (13, 0.0), (20, 1e9), (3, 1e9)])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    whole, store, split, tmp_path, monkeypatch, cut, checkpoint_seconds
):
    configuration = make_configuration(store)
    watch = replace(configuration.watch, checkpoint_seconds=checkpoint_seconds)
    configuration = replace(configuration, watch=watch)
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        cut_at(patch, cut)
        with pytest.raises(PowerCut):
            train_run(configuration, store, split, run)
    saved = Checkpoints(run, read_only=True).steps() if (run / "checkpoints").exists() else []
    assert max(saved, default=0) == (cut if checkpoint_seconds == 0 else cut // 10 * 10)
    with (run / "log.jsonl").open("a") as handle:
        handle.write('{"event": "train", "step": 14, "los')
    assert train_run(configuration, store, split, run) is None
    assert_same_run(whole, run)
    starts = [line["step"] for line in read_log(run / "log.jsonl") if line["event"] == "start"]
    assert starts == [0, max(saved, default=0)]


def test_finished_run_is_left_alone(whole, store, split, capfd):
    before = (whole / "log.jsonl").read_bytes()
    assert train_run(make_configuration(store), store, split, whole) is None
    assert (whole / "log.jsonl").read_bytes() == before
    assert "complete at step 30" in capfd.readouterr().err


def test_half_written_and_damaged_checkpoints_are_never_chosen(whole, store, split, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    folder = run / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["20", "30"]
    (folder / "25").mkdir()
    shutil.copytree(folder / "30", folder / "40.orbax-checkpoint-tmp")
    shutil.copytree(folder / "30", folder / "40")
    shutil.rmtree(folder / "40" / "state")
    for path in (folder / "30").rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert load_run(run, "latest").step == 20
    assert train_run(make_configuration(store), store, split, run) is None
    assert_same_run(whole, run)


def test_no_readable_checkpoint_is_one_line(whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for path in (run / "checkpoints").rglob("_METADATA"):
        path.write_bytes(b"{")
    with pytest.raises(RunError, match="no checkpoint that can be read") as caught:
        load_run(run)
    assert "\n" not in str(caught.value)


def test_other_configuration_in_the_same_folder_is_refused(whole, store, split):
    configuration = make_configuration(store)
    for other, key in (
        (replace(configuration, seed=4), "seed"),
        (replace(configuration, optimiser=replace(configuration.optimiser, clip_norm=5.0)), "optimiser.clip_norm"),
        (replace(configuration, model=PairConfig(cutoff=6.0)), "model.cutoff"),
    ):
        with pytest.raises(RunError, match=f"{key} = .* this one has {key} = "):
            train_run(other, store, split, whole)
    with pytest.raises(RunError, match="--no-resume was given"):
        train_run(configuration, store, split, whole, resume=False)
    with pytest.raises(RunError, match="names other frames"):
        train_run(configuration, store, replace(split, train=split.train[:-1]), whole)


def test_a_step_that_is_not_finite_is_skipped_and_the_second_stops_the_run(store, split, tmp_path, monkeypatch):
    victim = 17
    original = GraphDataset.batch

    def batch(self, item):
        graph = original(self, item)
        if self.n_frames == len(split.train) and victim in item.indices:
            graph.globals["energy"][list(item.indices).index(victim)] = np.inf
        return graph

    # Every frame comes once in each of the two epochs.
    configuration = make_configuration(store, device=DeviceSettings(data="host", steps_per_dispatch=3))
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(GraphDataset, "batch", batch)
        with pytest.raises(RunError, match="not finite at step") as caught:
            train_run(configuration, store, split, run)
    message = str(caught.value)
    skipped, stopped = [line for line in read_log(run / "log.jsonl") if line["event"] == "nonfinite"]
    assert (skipped["action"], stopped["action"]) == ("skipped", "stopped")
    assert skipped["step"] <= 15 < stopped["step"]
    frame = int(split.train[victim])
    name = store.graphs[store.molecule[frame]].molecule.name
    assert f"at step {stopped['step']}," in message
    assert f"{frame} ({name})" in message
    assert f"{frame} ({name})" in skipped["frames"]
    assert f"{frame} ({name})" in stopped["frames"]
    assert "\n" not in message
    assert load_run(run, "latest").step == stopped["step"] - 1
    # With the cause mended, the run goes on.
    assert train_run(configuration, store, split, run) is None
    train = [line for line in read_log(run / "log.jsonl") if line["event"] == "train"]
    assert [line["step"] for line in train] == [4, 8, 12, 16, 20, 24, 28, 30]
    assert train[-1]["loss"] < train[0]["loss"]


def test_lennard_jones_is_learned_from_its_forces(store, split, tmp_path):
    configuration = make_configuration(
        store,
        steps=500,
        optimiser=OptimiserSettings(learning_rate=1e-2, warmup_steps=10),
        watch=WatchSettings(log_every=50, validate_every=100, monitor_frames=50),
    )
    train_run(configuration, store, split, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    params = loaded.params["params"]
    assert float(params["epsilon"]) == pytest.approx(EPSILON, rel=2e-3)
    assert float(params["sigma"]) == pytest.approx(SIGMA, rel=2e-3)
    last = [line for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "validation"][-1]
    mean_force = np.abs(store.forces).mean()
    assert last["validation_force_mae"] < 2e-3 * mean_force
    assert last["monitor_ood_force_mae"] < 2e-3 * mean_force


def test_monitors_can_be_turned_off(store, split, tmp_path):
    watch = WatchSettings(log_every=2, validate_every=2, monitor_frames=0)
    train_run(make_configuration(store, steps=2, watch=watch), store, split, tmp_path / "run")
    validation = [line for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "validation"]
    assert not [key for key in validation[0] if key.startswith("monitor")]


def test_frames_on_the_device_or_the_host_and_steps_a_dispatch_change_rounding_only(whole, store, split, tmp_path):
    run = tmp_path / "run"
    device = DeviceSettings(data="host", steps_per_dispatch=7, accumulate=2)
    train_run(make_configuration(store, device=device), store, split, run)
    assert_close_runs(whole, run)


def assert_close_runs(a, b, tolerance=1e-5):
    """The same lines up to rounding."""
    first, second = comparable(a), comparable(b)
    assert [(line["event"], line["step"]) for line in first] == [(line["event"], line["step"]) for line in second]
    for x, y in zip(first, second, strict=True):
        for key in x.keys() - {"event"}:
            assert x[key] == pytest.approx(y[key], rel=tolerance), key


def test_no_lower_validation_loss_for_a_while_stops_early(store, split, tmp_path, capfd):
    watch = WatchSettings(log_every=5, validate_every=5, monitor_frames=0, patience=2)
    optimiser = OptimiserSettings(name="sgd", learning_rate=1e-30)  # nothing is learned
    configuration = make_configuration(store, watch=watch, optimiser=optimiser)
    assert train_run(configuration, store, split, tmp_path / "run") is None
    # A moving average may still change its last bits: with other versions of jax it may stop a validation later.
    said = re.search(r"stopped early after step (\d+): no lower validation loss since (\d+)", capfd.readouterr().err)
    stopped, best = int(said[1]), int(said[2])
    assert stopped - best == 10 and best <= 15
    assert read_log(tmp_path / "run" / "log.jsonl")[-1]["step"] == stopped
    assert train_run(configuration, store, split, tmp_path / "run") is None
    assert read_log(tmp_path / "run" / "log.jsonl")[-1]["event"] == "start"
