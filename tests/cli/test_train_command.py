"""``train.py`` from the command line, without the training."""

import sys
from pathlib import Path

import pytest

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.train import wire
from compbench_jax.training import run as training

MINI = Path(__file__).parent.parent.parent / "data" / "mini"


@pytest.fixture
def trained(monkeypatch):
    """What train_run was asked for: task, folder, OOD molecules trained on."""
    asked = []

    def stand_in(configuration, store, split, run, **options):
        shared = set(store.molecule[split.train]) & set(store.molecule[split.ood_test])
        asked.append((configuration, run, len(shared)))
        return 15 if run.name == "stopped" else None

    monkeypatch.setattr(training, "train_run", stand_in)
    return asked


def train(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", str(MINI), *words, "model:schnet"])
    return exit_code_of(wire)


def test_one_flag_trains_the_controls_with_the_same_settings(trained, monkeypatch):
    assert train(monkeypatch, "--task", "chain_extension", "--out", "runs/x", "--seed", "3", "--with-controls") == 0
    task = "chain_extension"
    assert [(item.task, str(run), shared) for item, run, shared in trained] == [
        (task, "runs/x", 0),
        (f"control_random({task})", "runs/x-control_random", 0),
        (f"oracle({task})", "runs/x-oracle", 7),
    ]
    assert {(item.seed, item.steps, item.preset) for item, _, _ in trained} == {(3, 3000, "schnet")}


def test_a_signal_ends_all_and_a_control_of_a_control_is_refused_first(trained, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        train(monkeypatch, "--task", "chain_extension", "--out", "runs/stopped", "--with-controls")
    assert (stopped.value.code, len(trained)) == (143, 1)
    assert train(monkeypatch, "--task", "oracle(chain_extension)", "--with-controls") == 2
    assert "a control of a control" in capsys.readouterr().err
    assert len(trained) == 1
