"""``benchmarks/scale.py`` on a small data set: what it must show of a large one, but for time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
def test_two_processes_read_disjoint_frames_and_devices_share_the_validation(tmp_path):
    words = ["--frames", "3000", "--steps", "6", "--validation", "200", "--task", "chain_extension", "--json"]
    command = [sys.executable, str(ROOT / "benchmarks" / "scale.py"), *words, "--folder", str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(said.splitlines()[-1])
    assert result["start"]["train_frames"] == 3000
    assert 0 < result["start"]["seconds_to_first_step"] < result["start"]["seconds"]
    assert result["start"]["peak_memory_mb"] > 100
    both = result["two_processes"]
    assert both["batches"] == 6 and both["frames_in_common"] == 0 and min(both["frames_read"]) > 0
    assert both["largest_difference_of_losses"] < 1e-4
    validation = result["validation"]
    assert validation["1"]["batches"] >= 2 * validation["2"]["batches"] - 1 >= 4 * validation["4"]["batches"] - 3
    for devices in ("2", "4"):
        assert validation[devices]["force_mae"] == pytest.approx(validation["1"]["force_mae"], rel=1e-5)
