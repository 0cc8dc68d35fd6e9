"""docs/own-model.md, followed to the letter by somebody who has nothing else, ends in a row of the leaderboard."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "own-model.md"


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found


def test_twenty_lines_are_a_row_of_the_leaderboard(tmp_path):
    body = block("python").split('"""\n\n')[1]
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 20 and "calculate" in body
    (tmp_path / "my_potential.py").write_text(block("python"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "standard").symlink_to(ROOT / "data" / "standard")
    shutil.copytree(ROOT / "leaderboard", tmp_path / "leaderboard")
    commands = block("bash").rstrip() + " --csv all.csv\n"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e"], input=commands, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "leaderboard/my-morse: valid" in done.stdout
    page = (tmp_path / "report" / "index.html").read_text()
    assert "My Morse" in page and "SchNet (small)" in page
    with (tmp_path / "all.csv").open() as lines:
        rows = {row["model"]: row for row in csv.DictReader(lines) if row["task"] == "chain_extension"}
    # A pair potential knows bonds and no angles: worse than a network, better than silence (0.58 eV/Å).
    mine, network = (float(rows[name]["ood_force_mae"]) for name in ("My Morse", "SchNet (small)"))
    assert network < mine and not any(text in page for text in ("(data", "(other"))  # on the same frames
    assert rows["My Morse"]["kind"] == "foreign"


def test_a_potential_and_a_task_of_ones_own_are_trained_and_evaluated(tmp_path):
    for name in ("data", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-e"], input=block("sh"), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "own(small_to_large[12])" in done.stdout and (tmp_path / "runs" / "my-pairs" / "results.json").exists()
    for example in ("my_model.py", "my_task.py"):
        assert f"examples/{example}" in PAGE.read_text()
