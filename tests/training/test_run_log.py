import errno
import json
import os
from pathlib import Path

import pytest

from compbench_jax.errors import DataError
from compbench_jax.training.log import RunLog, open_log, read_log


def test_lines_are_strict_json_and_flushed(tmp_path):
    log = RunLog(tmp_path / "log.jsonl")
    log.write("train", 5, loss=1.5, rate=float("nan"), frames=["1 (ethane)"])
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {
        "event": "train",
        "step": 5,
        "loss": 1.5,
        "rate": None,
        "frames": ["1 (ethane)"],
    }
    log.close()


def test_later_lines_and_a_half_line_are_dropped_on_resume(tmp_path):
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    for step in range(1, 6):
        log.write("train", step, seconds=float(step))
    log.close()
    whole = path.read_text()
    path.write_text(whole + '{"event": "train", "st')
    assert [line["step"] for line in read_log(path)] == [1, 2, 3, 4, 5]
    log, seconds = open_log(path, 3)
    assert seconds == 3.0
    log.write("train", 4, seconds=9.0)
    log.close()
    assert path.read_text() == "".join(whole.splitlines(keepends=True)[:3]) + (
        '{"event": "train", "step": 4, "seconds": 9.0}\n'
    )
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_damaged_lines_are_left_out_and_said_once(tmp_path, capsys):
    path = tmp_path / "log.jsonl"
    damaged = [b"3", b'{"a": 1}', b"", b"\xff\xfe", b"[" * 100_000, b'{"event": "train", "step": 2, "seconds": "x"}']
    path.write_bytes(b"\n".join([*damaged, b'{"event": "train", "step": 1}', b""]))
    assert read_log(path) == read_log(path) == [{"event": "train", "step": 1}]
    assert capsys.readouterr().err == f"warning: {path} has damaged lines, left out: 1, 2, 3, 4, 5\n"
    path.write_bytes(b'{"event": "train", "step": 1}\n{"event": "tra')
    assert read_log(path) == [{"event": "train", "step": 1}]
    assert read_log(tmp_path / "none") == []
    assert capsys.readouterr().err == ""


def test_a_pipe_in_place_of_a_log_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises(DataError, match="not a regular file"):
        open_log(tmp_path / "log.jsonl", 0)


def test_a_full_disk_is_an_os_error():
    log = RunLog(Path("/dev/full"))
    with pytest.raises(OSError, match="No space") as caught:
        log.write("train", 1)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space"):  # what is buffered is tried again
        log.close()
