"""``benchmarks/second_core.py`` in short runs: every way trains, and to the same loss."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WAYS = ["one core", "both cores", "two devices", "two processes"]


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_every_way_of_using_a_second_core_trains_to_the_same_loss(tmp_path):
    path = tmp_path / "cores.json"
    words = ["--models", "schnet", "--steps", "16", "--repetitions", "1", "--data", str(ROOT / "data" / "mini")]
    command = [sys.executable, str(ROOT / "benchmarks" / "second_core.py"), *words, "--json-file", str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(path.read_text())["schnet"]
    assert list(found) == WAYS and all(way in said for way in WAYS)
    (reference,) = found["one core"]
    for (turn,) in found.values():
        assert turn["structures_per_second"] > 0 and turn["processor_fraction"] > 0
        assert turn["loss"] == pytest.approx(reference["loss"], rel=1e-4)
