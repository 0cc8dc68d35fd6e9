"""Baselines go through the same run folder, log, checkpoint and evaluation as networks."""

import numpy as np
import pytest
from training_store import make_configuration

from compbench_jax.errors import RunError
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.registry import BASELINES
from compbench_jax.training.configuration import check
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run


@pytest.fixture(scope="module", params=["composition", "nearest"])
def fitted(request, store, split, tmp_path_factory):
    run = tmp_path_factory.mktemp("fits") / request.param
    configuration = make_configuration(store, BASELINES[request.param], preset=request.param)
    assert train_run(configuration, store, split, run) is None
    return run, configuration


def test_a_fit_is_a_run(fitted, store, split):
    run, configuration = fitted
    assert {"config.json", "potential.json", "split.json", "audit.json", "log.jsonl"} <= {p.name for p in run.iterdir()}
    lines = read_log(run / "log.jsonl")
    assert [(line["event"], line["step"]) for line in lines] == [("start", 0), ("validation", 1)]
    assert lines[1]["monitor_ood_force_mae"] > 0
    loaded = load_run(run)
    assert (loaded.step, loaded.member, loaded.seed) == (1, 0, configuration.seed)
    assert loaded.validation_loss == lines[1]["validation_loss"]
    assert loaded.potential.bonded == (configuration.preset == "nearest")
    if configuration.preset == "composition":
        expected = np.abs(store.gather(split.validation).forces).mean()
        assert lines[1]["validation_force_mae"] == pytest.approx(expected, rel=1e-5)


def test_a_fitted_run_is_left_alone(fitted, store, split, capfd):
    run, configuration = fitted
    before = (run / "log.jsonl").read_bytes()
    assert train_run(configuration, store, split, run) is None
    assert (run / "log.jsonl").read_bytes() == before
    assert "the run is complete" in capfd.readouterr().err


def test_a_fitted_run_is_evaluated(fitted, store, split):
    run, configuration = fitted
    results = evaluate(load_run(run), store, split, Settings(samples=10)).results
    assert results["model"] == configuration.preset
    zero = np.abs(store.gather(split.ood_test).forces).mean()
    ood = results["ood"]["force_mae"]["value"]
    if configuration.preset == "composition":
        assert ood == pytest.approx(zero, rel=1e-5)
        assert results["ood"]["force_cosine"]["value"] == 0
    else:
        assert ood != pytest.approx(zero, rel=1e-3)


def test_a_fit_has_no_members_and_no_start(store):
    for changes in ({"seeds": 2}, {"learning_rates": (1e-3, 1e-2)}, {"init_from": "runs/other"}):
        with pytest.raises(RunError, match="composition is fitted in closed form"):
            check(make_configuration(store, BASELINES["composition"], preset="composition", **changes))
