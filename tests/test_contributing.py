"""The example potential in CONTRIBUTING.md keeps the contract and can be trained, as it stands there."""

import importlib.util
import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from compbench_jax.models import registry
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run

ROOT = Path(__file__).parent.parent
TESTS = Path(__file__).parent


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The configuration of the example, registered by its one line."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    path = tmp_path / "morse.py"
    path.write_text(blocks[0])
    spec = importlib.util.spec_from_file_location("morse_example", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "morse_example", module)
    spec.loader.exec_module(module)
    monkeypatch.setitem(registry.MODELS, "morse", module.MorseConfig())
    monkeypatch.syspath_prepend(str(TESTS / "models"))
    monkeypatch.syspath_prepend(str(TESTS / "training"))
    return registry.MODELS["morse"]


def test_it_keeps_the_contract(config):
    import test_contract

    checks = [
        check for name, check in inspect.getmembers(test_contract, inspect.isfunction) if name.startswith("test_")
    ]
    assert len(checks) > 12
    with jax.enable_x64(True):
        for check in checks:
            check("morse")
    test_contract.subject.cache_clear()


def test_it_is_trained(config, tmp_path):
    from training_store import make_configuration, make_split, make_store

    store = make_store(tmp_path / "store")
    configuration = make_configuration(store, config, preset="morse")
    optimiser = replace(configuration.optimiser, learning_rate=2e-2)
    configuration = replace(configuration, optimiser=optimiser)
    assert train_run(configuration, store, make_split(store), tmp_path / "run") is None
    losses = [line["loss"] for line in read_log(tmp_path / "run" / "log.jsonl") if line["event"] == "train"]
    assert losses[-1] < 0.9 * losses[0]
    assert load_run(tmp_path / "run").config["model"]["model"] == "morse"
