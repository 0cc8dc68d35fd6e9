"""The protocol between the evaluator and its workers."""

import ast
import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compbench_jax.calculators import worker as calculator_worker
from compbench_jax.calculators.worker import MAGIC, ProtocolError, read_message, write_message


def message(header, arrays=()):
    stream = io.BytesIO()
    write_message(stream, header, arrays)
    return stream.getvalue()


def test_messages_come_back_as_they_were():
    rng = np.random.default_rng(0)
    arrays = [("energy", np.array([-1.0 / 3])), ("forces", rng.normal(size=(7, 3))), ("none", np.zeros((0, 3)))]
    stream = io.BytesIO(message({"kind": "result", "id": 4, "é": None}, arrays) + message({"kind": "failed"}))
    header, found = read_message(stream)
    assert (header["kind"], header["id"]) == ("result", 4)
    for name, array in arrays:
        assert found[name].dtype == np.float64
        np.testing.assert_array_equal(found[name], array)
    assert read_message(stream)[0]["kind"] == "failed"
    assert read_message(stream) == (None, {})


def test_the_layout_is_what_is_documented():
    content = message({"kind": "frame"}, [("positions", np.array([[1.0, 2.0, 3.0]]))])
    (length,) = struct.unpack("<I", content[4:8])
    assert content[:4] == b"CBW1"
    assert content[8 + length :] == struct.pack("<3d", 1, 2, 3)
    assert b'["positions", [1, 3]]' in content[8 : 8 + length]


@pytest.mark.parametrize(
    "content",
    [
        b"SCF converged in 8 iterations\n",
        MAGIC + struct.pack("<I", 2**31) + b"{}",
        MAGIC + struct.pack("<I", 2) + b"[]",
        MAGIC + struct.pack("<I", 5) + b"{nope",
        MAGIC + struct.pack("<I", 50) + b"{}",
        message({}, [("forces", np.zeros((2, 3)))])[:-1],
        message({}).replace(b'"arrays": []', b'"arrays": [["a", [-1, 8]]]').replace(b"\x0e", b"\x1c", 1),
        b"CB",
    ],
)
def test_garbage_is_told_from_a_message(content):
    with pytest.raises(ProtocolError):
        read_message(io.BytesIO(content))


def test_an_absurd_array_is_refused_before_memory_is_taken():
    text = b'{"arrays": [["forces", [100000000, 100000000]]]}'
    with pytest.raises(ProtocolError, match="shape"):
        read_message(io.BytesIO(MAGIC + struct.pack("<I", len(text)) + text))


def test_a_worker_of_another_protocol_is_refused():
    greeting = message(
        {"kind": "hello", "protocol": 99, "calculator": "a:b", "keywords": {}, "path": [], "packages": []}
    )
    result = subprocess.run(
        [sys.executable, calculator_worker.__file__], input=greeting, capture_output=True, timeout=120
    )
    header, _ = read_message(io.BytesIO(result.stdout))
    assert header["kind"] == "refused" and "speaks protocol 99" in header["reason"]


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("calculators/worker", {"numpy", "ase"}),
        ("calculators/perturb", {"numpy", "ase"}),
        ("foundation/ani", {"numpy", "ase", "torch", "torchani"}),
    ],
)
def test_files_for_other_environments_import_nothing_of_ours(name, allowed):
    tree = ast.parse((Path(calculator_worker.__file__).parents[1] / f"{name}.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    assert found - set(sys.stdlib_module_names) <= allowed
