import errno
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.errors import RunError
from compbench_jax.training import configuration as config_file
from compbench_jax.training.checkpoint import Best, Checkpoint, Checkpoints, better, no_best
from compbench_jax.training.flattened import pack, unpack
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.optimiser import make_optimiser
from compbench_jax.training.settings import OptimiserSettings
from compbench_jax.training.state import Cursor, initial_state, member_of, state_template

OPTIMISER = make_optimiser(OptimiserSettings(name="adam"))
NO_BEST = no_best(1)


def parameters(seed):
    rng = np.random.default_rng(seed)
    layers = {f"layer_{i}": {"w": rng.normal(size=(3, i + 1)), "b": rng.normal(size=2 * i + 1)} for i in range(3)}
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), {"params": layers})


def state_at(step, seeds=(0,)):
    state = initial_state([parameters(seed) for seed in seeds], OPTIMISER)
    members = state.members._replace(ema=stacked(*(parameters(seed + 100) for seed in seeds)))
    return state._replace(step=jnp.int32(step), members=members)


def stacked(*trees):
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


def assert_equal_trees(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(x).dtype == np.asarray(y).dtype
        np.testing.assert_array_equal(x, y)


def template():
    return state_template(parameters(0), OPTIMISER, 1)


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    params = jax.device_get(stacked(parameters(7), parameters(8)))
    best = Best(np.array([30, 20]), np.array([0.1 + 0.2, 7.0]), params)
    Checkpoints(tmp_path).save(Checkpoint(state_at(40, (0, 1)), (Cursor(3, 5), Cursor(4, 0)), best))
    read = Checkpoints(tmp_path).restore(state_template(parameters(0), OPTIMISER, 2))
    assert_equal_trees(read.state, state_at(40, (0, 1)))
    assert read.cursors == (Cursor(3, 5), Cursor(4, 0))
    assert (read.best.step.tolist(), read.best.loss.tolist()) == ([30, 20], [0.1 + 0.2, 7.0])
    assert_equal_trees(read.best.params, params)
    found = Checkpoints(tmp_path, read_only=True).parameters("best")
    assert [item[:2] for item in found] == [(30, 0.1 + 0.2), (20, 7.0)]
    assert [item[2] for item in found] == [0, 0]
    assert_equal_trees(found[1][3], jax.device_get(parameters(8)))


def test_a_checkpoint_of_other_members_is_refused(tmp_path):
    Checkpoints(tmp_path).save(Checkpoint(state_at(4), (Cursor(0, 4),), NO_BEST))
    with pytest.raises(RunError, match="not that of this potential"):
        Checkpoints(tmp_path).restore(state_template(parameters(0), OPTIMISER, 2))


def test_each_member_keeps_its_own_best():
    first, second, third = (jax.device_get(stacked(parameters(10 * k), parameters(10 * k + 1))) for k in range(3))
    best = better(no_best(2), 10, [2.0, float("nan")], first)
    assert (best.step.tolist(), best.loss.tolist()) == ([10, 0], [2.0, float("inf")])
    best = better(better(best, 20, [3.0, 4.0], second), 30, [1.0, 5.0], third)
    assert (best.step.tolist(), best.loss.tolist()) == ([30, 20], [1.0, 4.0])
    assert_equal_trees(member_of(best.params, 0), member_of(third, 0))
    assert_equal_trees(member_of(best.params, 1), member_of(second, 1))


def test_before_the_first_validation_the_latest_average_serves_as_best(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(Checkpoint(state_at(4), (Cursor(0, 4),), NO_BEST))
    assert checkpoints.restore(template()).best.params is None
    ((step, loss, stopped, params),) = Checkpoints(tmp_path, read_only=True).parameters("best")
    assert (step, loss, stopped) == (4, float("inf"), 0)
    assert_equal_trees(params, jax.device_get(parameters(100)))


def test_two_are_kept_and_no_checkpoint_is_none(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.restore(template()) is None
    for step in (1, 2, 3, 4):
        checkpoints.save(Checkpoint(state_at(step), (Cursor(0, step),), NO_BEST))
    assert checkpoints.steps() == Checkpoints(tmp_path).steps() == [4, 3]


def test_reading_changes_nothing(tmp_path):
    Checkpoints(tmp_path).save(Checkpoint(state_at(1), (Cursor(0, 1),), NO_BEST))
    (tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp").mkdir()
    Checkpoints(tmp_path, read_only=True).parameters("latest")
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["1", "2.orbax-checkpoint-tmp"]


def test_nothing_is_pickled(tmp_path):
    Checkpoints(tmp_path).save(Checkpoint(state_at(1), (Cursor(0, 1),), NO_BEST))
    names = [p for p in (tmp_path / "checkpoints").rglob("*") if p.is_file()]
    assert names
    for path in names:
        assert path.suffix not in (".pkl", ".pickle")
        assert not path.read_bytes().startswith(b"\x80\x04")


@pytest.mark.parametrize("error", ["tensorstore", "os"])
def test_a_full_disk_leaves_the_last_checkpoint_and_is_one_line(tmp_path, monkeypatch, capsys, error):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(Checkpoint(state_at(1), (Cursor(0, 1),), NO_BEST))

    def full(step, args):
        (checkpoints.folder / f"{step}.orbax-checkpoint-tmp" / "state").mkdir(parents=True)
        if error == "os":
            raise OSError(errno.ENOSPC, "No space left on device")
        raise ValueError("RESOURCE_EXHAUSTED: Error writing x: No space left on device [os_error_code='28']")

    monkeypatch.setattr(checkpoints.manager, "save", full)
    code = exit_code_of(lambda: checkpoints.save(Checkpoint(state_at(2), (Cursor(0, 2),), NO_BEST)))
    assert code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: the disk is full at")
    assert message.count("\n") == 1
    assert [p.name for p in checkpoints.folder.iterdir()] == ["1"]
    assert int(Checkpoints(tmp_path).restore(template()).state.step) == 1


def test_other_errors_of_a_save_are_not_hidden(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)

    def broken(step, args):
        raise ValueError("something else")

    monkeypatch.setattr(checkpoints.manager, "save", broken)
    with pytest.raises(ValueError, match="something else"):
        checkpoints.save(Checkpoint(state_at(2), (Cursor(0, 2),), NO_BEST))


def test_a_checkpoint_of_another_potential_is_refused(tmp_path):
    Checkpoints(tmp_path).save(Checkpoint(state_at(1), (Cursor(0, 1),), NO_BEST))
    other = {"params": {"layer": {"w": jnp.zeros(3)}}}
    with pytest.raises(RunError, match="not that of this potential"):
        Checkpoints(tmp_path).restore(state_template(other, OPTIMISER, 1))
    renamed = {"params": {name.upper(): value for name, value in parameters(0)["params"].items()}}
    with pytest.raises(RunError, match="not that of this potential"):
        Checkpoints(tmp_path).restore(state_template(renamed, OPTIMISER, 1))


@given(st.lists(st.tuples(st.sampled_from(["float32", "int32"]), st.lists(st.integers(0, 3), max_size=3)), max_size=6))
def test_packing_a_tree_is_exact(shapes):
    rng = np.random.default_rng(0)
    tree = [{"x": (100 * rng.normal(size=shape)).astype(dtype)} for dtype, shape in shapes]
    assert_equal_trees(unpack(pack(tree), tree), tree)


def test_load_run_says_what_is_missing(tmp_path, store):
    from training_store import make_configuration

    def message(run):
        with pytest.raises(RunError) as caught:
            load_run(run)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no run at" in message(tmp_path / "none")
    assert "is not a run folder" in message(tmp_path)
    config_file.write(tmp_path / "config.json", make_configuration(store))
    assert f"{tmp_path} has no checkpoint: train it first with `python train.py --out {tmp_path}" in message(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    assert "has no checkpoint" in message(tmp_path)
    Checkpoints(tmp_path).save(Checkpoint(state_at(1), (Cursor(0, 1),), NO_BEST))
    assert "potential.json is missing" in message(tmp_path)
    with pytest.raises(RunError, match="choose best or latest"):
        load_run(tmp_path, "first")


def test_a_checkpoint_that_has_no_room_is_not_begun(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(Checkpoint(state_at(1), (Cursor(0, 1),), NO_BEST))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000))
    monkeypatch.setattr(checkpoints.manager, "save", lambda *_, **__: pytest.fail("nothing must be written"))
    with pytest.raises(OSError, match="no space left") as caught:
        checkpoints.save(Checkpoint(state_at(2), (Cursor(0, 2),), NO_BEST))
    assert caught.value.errno == errno.ENOSPC
    assert checkpoints.steps() == [1]
