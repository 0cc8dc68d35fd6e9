"""A run in float64, from the first batch to the evaluation."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from training_store import make_configuration

from compbench_jax.errors import RunError
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.precision import prepare_precision
from compbench_jax.training import configuration as config_file
from compbench_jax.training.loaded_run import load_run, with_precision
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import DeviceSettings


@pytest.fixture
def restored():
    """Leaves JAX as it was."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def test_float64_from_training_to_evaluation(store, split, tmp_path, restored):
    configuration = make_configuration(store, steps=12, precision="float64")
    with pytest.raises(RunError, match="64-bit JAX"):
        train_run(configuration, store, split, tmp_path / "early")
    prepare_precision("float64")
    assert train_run(configuration, store, split, tmp_path / "run") is None
    loaded = load_run(tmp_path / "run")
    assert loaded.potential.precision == "float64"
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded.params)} == {np.dtype(np.float64)}
    settings = Settings(samples=10)
    double = evaluate(loaded, store, split, settings)
    single = evaluate(with_precision(loaded, "float32"), store, split, settings)
    error = np.abs(double.predictions["ood"].forces - single.predictions["ood"].forces).mean()
    assert 0 < error < 1e-5 * np.abs(double.predictions["ood"].forces).mean()
    # A run that goes on finds its state again.
    longer = make_configuration(store, steps=12, precision="float64")
    assert train_run(longer, store, split, tmp_path / "run") is None
    # A member of several, taken in dispatches of frames on the device, is the same run.
    device = DeviceSettings(steps_per_dispatch=4, data="device")
    several = make_configuration(store, seed=2, seeds=2, steps=12, precision="float64", device=device)
    assert train_run(several, store, split, tmp_path / "several") is None
    member = load_run(tmp_path / "several", member=1)
    for a, b in zip(jax.tree.leaves(loaded.params), jax.tree.leaves(member.params), strict=True):
        assert b.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_runs_of_before_the_setting_are_float32(store, tmp_path):
    content = config_file.to_json(make_configuration(store))
    del content["precision"]
    read = config_file.from_json(content, tmp_path)
    assert read == make_configuration(store)
    assert config_file.difference(read, replace(read, precision="bfloat16")) == ("precision", "float32", "bfloat16")
    with pytest.raises(RunError, match="--precision"):
        config_file.check(replace(read, precision="half"))
