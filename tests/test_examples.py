"""The scripts in examples/ run as they stand, and the page about the Python API shows lines of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder like a clone: data and results are where the scripts look for them."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("data", "results"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(folder, name, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLES / name), *words]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_a_table_and_the_use_of_the_potential(folder):
    text = run(folder, "first_table.py", "20")
    assert "schnet on chain_extension" in text and "OOD / ID of the force MAE: " in text
    text = run(folder, "use_a_potential.py")
    assert re.search(r"C2H6: -?\d+\.\d+ eV", text) and "after 5 fs: " in text


def test_a_calculator_is_scored(folder):
    pytest.importorskip("tblite")
    assert "GFN1-xTB on fragment_fusion[OH]" in run(folder, "score_a_calculator.py")


def test_a_breakdown_is_written(folder):
    assert "the largest OOD force MAE is on" in run(folder, "breakdown_as_csv.py")
    assert (folder / "breakdown.csv").read_text().startswith("set,by,group,metric,value,low,high\n")


@pytest.mark.slow
def test_a_larger_network(folder):
    assert "painn on fragment_combination[NH2,COOH]" in run(folder, "a_larger_network.py", "20")


def test_every_script_is_run_and_the_page_shows_their_lines():
    text = Path(__file__).read_text()
    # tests/test_own_model_page.py runs the two that define classes
    scripts = sorted(path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("my_"))
    assert len(scripts) == 5 and all(f'"{name}"' in text for name in scripts)
    lines = {line.strip() for path in EXAMPLES.glob("*.py") for line in path.read_text().splitlines()}
    page = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shown = [line.strip() for block in blocks for line in block.splitlines()]
    shorter = ("run = cb.train(", "energies, forces = cb.load_potential(", "atoms.calc = cb.Calculator(")
    assert all(line in lines or line.startswith(shorter) or not line for line in shown)
