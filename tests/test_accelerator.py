"""``benchmarks/accelerator.py`` on this machine, at a tiny size."""

import json
from pathlib import Path

import pytest

from compbench_jax.models.schnet import SchNetConfig

ROOT = Path(__file__).parents[1]


@pytest.fixture
def accelerator(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import accelerator

    monkeypatch.setitem(accelerator.throughput.PRESETS, "tiny", SchNetConfig(features=4, interactions=1, n_basis=4))
    return accelerator


def arguments(accelerator, path, **changes):
    tiny = {"models": ("tiny",), "kinds": ("energy_and_forces",), "batches": (2,), "seeds": (1, 2), "structures": 6}
    return accelerator.Arguments(path, **tiny, precisions=("float32",), backends=("auto",), steps=2, **changes)


def test_measurements_are_kept_one_by_one_and_not_repeated(accelerator, tmp_path, monkeypatch):
    path = tmp_path / "speed.json"
    accelerator.run(arguments(accelerator, path, minutes=0))
    assert not path.exists()
    accelerator.run(arguments(accelerator, path))
    content = json.loads(path.read_text())
    assert list(content["measured"]) == [f"tiny energy_and_forces 2 {n} float32 auto compbench_jax" for n in (1, 2)]
    assert all(found["structures_per_second"] > 0 for found in content["measured"].values())
    assert content["conditions"]["platform"] == "cpu"

    monkeypatch.setattr(accelerator, "measure", lambda *_: pytest.fail("measured again"))
    assert accelerator.run(arguments(accelerator, path)) == content
    content["conditions"]["device"] = "another"
    path.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match="another file"):
        accelerator.run(arguments(accelerator, path))


def test_the_base_comes_first_then_one_change_at_a_time(accelerator, tmp_path, monkeypatch):
    monkeypatch.setattr(accelerator, "find_spec", lambda name: None)  # neither mlip nor e3j
    found = list(accelerator.settings(accelerator.Arguments(tmp_path / "x.json")))
    assert len(found) == len({setting.name for setting in found}) == 4 * 2 * 3 * 2 * 3 * 2
    base = vars(found[0])
    assert base["model"] == "mace-64" and base["precision"] == "float32" and base["batch"] == 64
    changes = [sum(value != base[key] for key, value in vars(setting).items()) for setting in found]
    assert changes == sorted(changes) and changes.count(1) == 3 + 1 + 2 + 1 + 2 + 1
    monkeypatch.setattr(accelerator, "find_spec", lambda name: name)  # both
    more = list(accelerator.settings(accelerator.Arguments(tmp_path / "x.json")))
    assert [setting.program for setting in more[:2]] == ["compbench_jax", "mlip"]
    assert {setting.backend for setting in more} == {"plain", "chunks", "e3j"}
