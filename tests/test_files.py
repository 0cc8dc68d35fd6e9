"""Files that may hold anything, and those that dead processes left."""

import os
import socket
import subprocess
import sys

import pytest

from compbench_jax.errors import DataError
from compbench_jax.files import read_json, write_atomically


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "not text in UTF-8 \\(byte 7\\)"),
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b'{"a": 1e999}', "not a finite number"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b" " * 2000, "more than"),
        (None, "not a regular file"),
    ],
)
def test_a_file_of_anything_is_one_line(tmp_path, content, message):
    path = tmp_path / "file.json"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    most = 1000 if content and content.startswith(b" ") else 1 << 20
    with pytest.raises(DataError, match=message) as caught:
        read_json(path, most)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_dead_processes_left_is_swept_by_the_next_writer(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f".a.json.{socket.gethostname()}.{gone.pid}.tmp"
    kept = [
        tmp_path / f".a.json.{socket.gethostname()}.{os.getppid()}.tmp",
        tmp_path / f".a.json.elsewhere.{gone.pid}.tmp",
    ]
    for path in (left, *kept):
        path.touch()
    write_atomically(tmp_path / "b.json", b"{}")
    assert not left.exists() and all(path.exists() for path in kept)
