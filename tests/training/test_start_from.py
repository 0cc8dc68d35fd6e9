from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_store import PairConfig, make_configuration

from compbench_jax.errors import RunError
from compbench_jax.training.checkpoint import load_run
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import OptimiserSettings, WatchSettings
from compbench_jax.training.start_from import freezing, load_start


@pytest.fixture(scope="module")
def before(store, split, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "before"
    train_run(make_configuration(store, optimiser=OptimiserSettings(learning_rate=2e-2)), store, split, run)
    return run


def test_fine_tuning_starts_where_the_other_run_ended_and_keeps_what_is_frozen(before, store, split, tmp_path):
    run = tmp_path / "run"
    watch = WatchSettings(log_every=1, validate_every=2, monitor_frames=0)
    gentle = OptimiserSettings(learning_rate=1e-4)
    configuration = make_configuration(
        store, steps=2, watch=watch, optimiser=gentle, init_from=str(before), freeze=("sigma", "shift$")
    )
    train_run(configuration, store, split, run)
    start, end = load_run(before), load_run(run, "latest")
    assert end.potential.normalisation == start.potential.normalisation  # the same frames: the same energies
    a, b = start.params["params"], end.params["params"]
    np.testing.assert_array_equal(a["sigma"], b["sigma"])
    np.testing.assert_array_equal(a["shift"], b["shift"])
    assert 0 < abs(float(a["epsilon"] - b["epsilon"])) < 1e-3
    first, last = (
        next(x for x in reversed(read_log(r / "log.jsonl")) if x["event"] == "validation") for r in (before, run)
    )
    assert last["validation_loss"] == pytest.approx(first["validation_loss"], rel=0.05)


def test_runs_that_must_not_be_started_from_are_refused(before, store, split, tmp_path):
    def message(**changes):
        with pytest.raises(RunError) as caught:
            train_run(make_configuration(store, **changes), store, split, tmp_path / "run")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no run at" in message(init_from=str(tmp_path / "none"))
    assert "without --init-from" in message(freeze=("sigma",))
    with pytest.raises(RunError, match="run of another potential"):
        load_start(before, PairConfig(cutoff=5.0), store, split)
    with pytest.raises(RunError, match=r"trained on 5 OOD molecules of this task \(alkane-2, …\)"):
        load_start(before, PairConfig(), store, replace(split, ood_test=split.train))


def test_freezing_by_path():
    params = {"params": {"embed": {"w": jnp.ones(2)}, "out": {"w": jnp.ones(3)}}}
    optimiser = optax.chain(optax.sgd(1.0), freezing(("^params/embed",), params))
    updates, _ = optimiser.update(params, optimiser.init(params), params)
    assert [float(jnp.abs(x).sum()) for x in jax.tree.leaves(updates)] == [0.0, 3.0]
    with pytest.raises(RunError, match="fits no parameter: there are params/embed/w, params/out/w"):
        freezing(("embedding",), params)
    with pytest.raises(RunError, match="not a regular expression"):
        freezing(("(",), params)
