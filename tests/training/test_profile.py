import gzip
import json

import jax
import numpy as np
from training_store import make_configuration

from compbench_jax.training import profile
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import WatchSettings


def test_a_few_steps_are_traced_and_training_is_what_it_was(store, split, tmp_path):
    watch = WatchSettings(log_every=4, validate_every=12, monitor_frames=0)
    configuration = make_configuration(store, steps=12, watch=watch)
    assert train_run(configuration, store, split, tmp_path / "traced", profile=True) is None
    (trace,) = profile.traces(tmp_path / "traced" / profile.FOLDER)
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    names = [event["name"] for event in events if event.get("ph") == "X"]
    assert names.count("train") == profile.TRACED
    assert any("fusion" in name for name in names)  # what XLA made of the step, operation by operation
    assert str(trace) in profile.how_to_open(tmp_path / "traced" / profile.FOLDER)
    assert list(trace.parent.glob("*.xplane.pb"))  # what TensorBoard reads

    train_run(configuration, store, split, tmp_path / "plain")
    runs = [load_run(tmp_path / name, "latest").params for name in ("traced", "plain")]
    jax.tree.map(np.testing.assert_array_equal, *runs)
    assert not (tmp_path / "plain" / profile.FOLDER).exists()


def test_too_few_steps_are_said_to_be(store, split, tmp_path, capsys):
    configuration = make_configuration(store, steps=2)
    train_run(configuration, store, split, tmp_path / "run", profile=True)
    assert "too few steps to trace" in capsys.readouterr().err
