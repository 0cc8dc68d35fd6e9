from dataclasses import replace

import jax
import numpy as np
import pytest
from training_store import PairConfig, make_configuration

from compbench_jax.errors import RunError
from compbench_jax.training.checkpoint import Checkpoints
from compbench_jax.training.loaded_run import load_members, load_run, pick_member
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import DeviceSettings, OptimiserSettings, WatchSettings

TIMED = ("seconds", "structures_per_second", "host_fraction", "processor_fraction", "member")
RATES = (5e-3, 1e-3)


def lines_of(run, member=None):
    lines = [line for line in read_log(run / "log.jsonl") if line["event"] in ("train", "validation")]
    own = [line for line in lines if member is None or line["member"] == member]
    return [{key: value for key, value in line.items() if key not in TIMED} for line in own]


@pytest.fixture(scope="module")
def together(store, split, tmp_path_factory):
    """Two seeds with each of two learning rates, in one run."""
    run = tmp_path_factory.mktemp("runs") / "together"
    device = DeviceSettings(steps_per_dispatch=8)
    configuration = make_configuration(store, seeds=2, learning_rates=RATES, device=device)
    assert train_run(configuration, store, split, run) is None
    return run


@pytest.mark.parametrize("member", [1, 2])
def test_a_member_equals_a_run_with_that_seed_and_rate_alone(together, store, split, tmp_path, member):
    seed, rate = 3 + member % 2, RATES[member // 2]
    configuration = make_configuration(store, seed=seed, optimiser=OptimiserSettings(learning_rate=rate))
    train_run(configuration, store, split, tmp_path / "alone")
    alone, own = lines_of(tmp_path / "alone"), lines_of(together, member)
    assert [(line["event"], line["step"]) for line in alone] == [(line["event"], line["step"]) for line in own]
    for a, b in zip(alone, own, strict=True):
        for key in a.keys() - {"event"}:
            assert a[key] == pytest.approx(b[key], rel=1e-5), (key, a["step"])
    for which in ("best", "latest"):
        a, b = load_run(tmp_path / "alone", which), load_run(together, which, member)
        assert (a.step, a.seed, a.learning_rate) == (b.step, b.seed, b.learning_rate) == (b.step, seed, rate)
        for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5)


def test_members_of_a_potential_that_looks_at_its_first_batch_look_at_their_own(store, split, tmp_path):
    settings = {"model": PairConfig(look=True), "steps": 1, "watch": WatchSettings(monitor_frames=0)}
    train_run(make_configuration(store, seeds=2, **settings), store, split, tmp_path / "both")
    train_run(make_configuration(store, seed=4, **settings), store, split, tmp_path / "alone")
    own, alone = load_run(tmp_path / "both", "latest", 1), load_run(tmp_path / "alone", "latest")
    for a, b in zip(jax.tree.leaves(own.params), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_lowest_validation_loss_chooses_the_member(together):
    members = load_members(together)
    assert [(item.member, item.seed, item.learning_rate) for item in members] == [
        (0, 3, 5e-3),
        (1, 4, 5e-3),
        (2, 3, 1e-3),
        (3, 4, 1e-3),
    ]
    losses = {
        k: min(line["validation_loss"] for line in lines_of(together, k) if line["event"] == "validation")
        for k in range(4)
    }
    assert [item.validation_loss for item in members] == list(losses.values())
    chosen = load_run(together)
    assert chosen.member == min(losses, key=losses.__getitem__)
    assert load_run(together, "latest").member == chosen.member
    with pytest.raises(RunError, match="no ensemble member 4: give a number from 0 to 3"):
        load_run(together, member=4)


def test_interrupted_members_resume_bit_for_bit(together, store, split, tmp_path):
    run = tmp_path / "run"
    device = DeviceSettings(steps_per_dispatch=8)
    configuration = make_configuration(store, seeds=2, learning_rates=RATES, device=device)
    train_run(configuration, store, split, run)
    Checkpoints(run).manager.delete(30)
    assert train_run(configuration, store, split, run) is None
    assert lines_of(run) == lines_of(together)
    for a, b in zip(load_members(together, "latest"), load_members(run, "latest"), strict=True):
        assert a.step == b.step == 30
        for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
            assert x.tobytes() == y.tobytes()


def test_a_member_that_diverges_stops_and_the_others_go_on(together, store, split, tmp_path, capsys):
    device = DeviceSettings(steps_per_dispatch=8)
    configuration = make_configuration(store, seeds=2, learning_rates=(RATES[0], 1e30), device=device)
    assert train_run(configuration, store, split, tmp_path / "run") is None
    noted = [line for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "nonfinite"]
    assert sorted((line["member"], line["action"]) for line in noted) == [
        (2, "skipped"),
        (2, "stopped"),
        (3, "skipped"),
        (3, "stopped"),
    ]
    stopped = {line["member"]: line["step"] for line in noted if line["action"] == "stopped"}
    members = load_members(tmp_path / "run", "latest")
    assert [item.stopped for item in members] == [0, 0, stopped[2], stopped[3]]
    assert f"member 2 (seed 3, learning rate 1e+30) stops at step {stopped[2]}" in capsys.readouterr().err
    # The first two are those of a run without the others' trouble, bit for bit.
    for own, like in zip(members[:2], load_members(together, "latest")[:2], strict=True):
        assert (own.step, own.validation_loss) == (like.step, like.validation_loss)
        for a, b in zip(jax.tree.leaves(own.params), jax.tree.leaves(like.params), strict=True):
            np.testing.assert_array_equal(a, b)
    assert [line["loss"] for line in lines_of(tmp_path / "run", 2) if line["event"] == "train"][-1] is None
    assert load_run(tmp_path / "run").member in (0, 1)
    assert (
        pick_member([replace(members[1], validation_loss=3.0), replace(members[2], validation_loss=1.0)], "").member
        == 1
    )
    # Resumed, they stay where they stopped.
    Checkpoints(tmp_path / "run").manager.delete(30)
    assert train_run(configuration, store, split, tmp_path / "run") is None
    again = load_members(tmp_path / "run", "latest")
    assert [(item.step, item.stopped) for item in again] == [(30, 0), (30, 0), (30, stopped[2]), (30, stopped[3])]
    assert [line for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "nonfinite"] == noted


def test_when_all_members_have_diverged_the_run_stops(store, split, tmp_path):
    configuration = make_configuration(store, seeds=2, optimiser=OptimiserSettings(learning_rate=1e30))
    with pytest.raises(RunError, match="not finite at step"):
        train_run(configuration, store, split, tmp_path / "run")
    noted = [line for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "nonfinite"]
    last = max(line["step"] for line in noted)
    assert load_run(tmp_path / "run", "latest").step == last - 1
