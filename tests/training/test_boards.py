"""TensorBoard and Weights & Biases are told the records of the log; docs/cluster.md lists the keys of the records."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from training_store import PairConfig, make_configuration, make_split, make_store

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError
from compbench_jax.training.boards import BOARDS, Told, board_names
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run

PAGE = Path(__file__).parents[2] / "docs" / "logging.md"
pytestmark = pytest.mark.usefixtures("kept_programs")


def scalars(folder):
    """(name, step) → value of the event files in a folder."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.glob("events*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found[value.tag, event.step] = value.simple_value
    return found


def train(folder, boards, **more):
    store = make_store(folder / "store") if not (folder / "store").exists() else None
    if store is None:
        from compbench_jax.store.store import open_store

        store = open_store(folder / "store")
    configuration = make_configuration(store, PairConfig(), **more)
    return train_run(configuration, store, make_split(store), folder / "run", boards=boards)


def documented():
    """Keys by event, from the table of the page."""
    found, event = {}, ""
    for first, keys in re.findall(r"^\| (`\w+`|) ?\| ([^|]+) \|", PAGE.read_text(), re.MULTILINE):
        event = first.strip("`") or event
        for key in re.findall(r"`(\w+)`", keys):
            found.setdefault(key, set()).add(event)
    return found


def test_tensorboard_is_told_the_records(tmp_path):
    pytest.importorskip("tensorboardX")
    assert train(tmp_path, ("tensorboard",)) is None
    found = scalars(tmp_path / "run" / "tensorboard")
    records = read_log(tmp_path / "run" / "log.jsonl")
    assert {record["event"] for record in records} == {"start", "train", "validation"}
    for record in records:
        for key, value in record.items():
            if key not in ("event", "step") and isinstance(value, bool | int | float):
                name = record["event"] + "/" + key
                assert found[name, record["step"]] == pytest.approx(float(value), rel=1e-5)
    for record in records:
        assert record.keys() <= {key for key, events in documented().items() if {record["event"], "all"} & events}


def test_every_documented_key_occurs(tmp_path):
    train(tmp_path, (), seeds=2)
    written = {key for record in read_log(tmp_path / "run" / "log.jsonl") for key in record}
    assert set(documented()) - written == {"fitted", "action", "frames"}  # of baselines, and of steps that fail
    text = (PAGE.parents[1] / "compbench_jax" / "training" / "trainer.py").read_text()
    assert '"action": action' in text and '"frames": frames' in text


def test_wandb_is_told_the_records_without_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_ERROR_REPORTING", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert train(tmp_path, ("wandb",)) is None
    (path,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    content = path.read_bytes()
    assert (tmp_path / "run" / "wandb" / "id").read_bytes() in content
    for record in read_log(tmp_path / "run" / "log.jsonl"):
        for key, value in record.items():
            if key not in ("event", "step", "member"):
                assert f"{record['event']}/{key}".encode() in content
                assert "loss" not in key or repr(value).encode() in content
    assert os.environ["WANDB_MODE"] == "offline"


def test_a_resumed_run_goes_on(tmp_path):
    pytest.importorskip("tensorboardX")
    from compbench_jax.training.boards import TensorBoard

    for step in (0, 4):
        board = TensorBoard(tmp_path, {"a": 1}, step)
        board.write({"event": "train", "step": step + 2, "loss": 1.0 + step, "member": 1, "skipped": None})
        board.close()
    assert scalars(tmp_path / "tensorboard") == {
        ("member1/train/loss", 2): 1.0,
        ("member1/train/loss", 6): 5.0,
    }


def test_a_board_that_fails_does_not_stop_the_training(capsys):
    class Failing:
        def write(self, record):
            raise OSError("no\nspace")

        def close(self):
            raise AssertionError

    told = Told({"tensorboard": Failing()})
    told.write({"event": "train", "step": 1})
    told.write({"event": "train", "step": 2})
    told.close()
    assert capsys.readouterr().err == "warning: tensorboard is left out from here on (OSError: no space)\n"


def test_names_and_missing_packages_are_one_line(tmp_path, monkeypatch, capsys):
    assert board_names("") == ()
    with pytest.raises(CompBenchError, match="--log has 'tensorbord': did you mean 'tensorboard'"):
        board_names("tensorbord")
    for name, package in (("tensorboard", "tensorboardX"), ("wandb", "wandb")):
        monkeypatch.setitem(sys.modules, package, None)
        words = ("train", "--task", "random_frames", "--data", str(tmp_path), "--log", name, "model:schnet")
        assert exit_code_of(lambda words=words: run_command(list(words))) == 2
        error = capsys.readouterr().err
        assert f"pip install 'compbench_jax[{name}]'" in error and error.count("\n") == 1
    assert list(BOARDS) == ["tensorboard", "wandb"]


def test_nothing_is_imported_without_boards():
    code = "import sys, compbench_jax.training.run; assert not {'wandb', 'tensorboardX'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
