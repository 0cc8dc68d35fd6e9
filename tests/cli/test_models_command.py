import json

import pytest

from compbench_jax.cli.main import run_command
from compbench_jax.models import registry
from compbench_jax.models.schnet import SchNetConfig
from compbench_jax.models.summary import summarise


def test_every_potential_is_listed(capsys):
    run_command(["models", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert list(found) == list(registry.presets())
    schnet = found["schnet"]
    assert (schnet["cutoff"], schnet["layers"], schnet["receptive_field"]) == (5.0, 3, 15.0)
    assert schnet["flops"] is None
    assert not schnet["fitted"]
    assert found["schnet-paper"]["parameters"] == 8_990_209
    assert found["painn"]["direct_forces"]
    assert found["classical"]["parameters"] is None
    assert all(item["citation"] for item in found.values())


def test_parameters_are_counted_for_four_elements():
    config = SchNetConfig(features=8, interactions=1, n_basis=4)
    embedding = 4 * 8
    block = (4 * 8 + 8) + (8 * 8 + 8) + 8 * 8 + (8 * 8 + 8) + (8 * 8 + 8)
    output = (8 * 4 + 4) + (4 + 1)
    assert summarise(config).parameters == embedding + block + output


def test_table_with_flops(monkeypatch, capsys):
    monkeypatch.setattr(registry, "MODELS", {"schnet": SchNetConfig(features=8, interactions=1, n_basis=4)})
    monkeypatch.setenv("COLUMNS", "120")
    run_command(["models", "--flops"])
    printed = capsys.readouterr().out
    for words in ("Gflop", "schnet", "1 × 5 = 5", "nearest*", "fit", "arXiv 1706.08566"):
        assert words in printed


def test_flops_grow_with_the_network():
    small = summarise(SchNetConfig(features=8, interactions=1, n_basis=4), flops=True)
    large = summarise(SchNetConfig(features=8, interactions=4, n_basis=4), flops=True)
    # The layers are most of the work: forces and energy of one block take more than the readout.
    assert small.flops is not None and large.flops is not None
    assert 2 * small.flops < large.flops < 4.5 * small.flops
    assert small.parameters == pytest.approx(large.parameters / 3, rel=0.5)
