"""The notebook of the documentation uses the public names only, was run, and runs from top to bottom as it stands."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import compbench_jax as cb

ROOT = Path(__file__).parent.parent
CELLS = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_it_uses_the_public_names_only():
    tree = ast.parse("\n".join(CODE))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in imported if name.startswith("compbench_jax")} == {"compbench_jax"}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    used = {node.attr for node in nodes if node.value.id == "cb"}
    assert used <= set(cb.__all__)
    assert used >= {"load_data", "get_task", "split", "train", "evaluate", "load_potential", "Calculator"}


def test_it_is_short_and_shows_what_it_printed():
    assert len(CELLS) <= 12
    counts = [cell["execution_count"] for cell in CELLS if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(CODE) + 1))
    outputs = [item for cell in CELLS if cell["cell_type"] == "code" for item in cell["outputs"]]
    assert not [item for item in outputs if item["output_type"] == "error"]
    text = json.dumps(outputs)
    assert "OOD / ID" in text and "image/png" in text and "/tmp/" not in text
    assert len(text) < 100_000


@pytest.mark.slow
def test_it_runs(tmp_path):
    code = "\n\n".join(CODE)
    assert code.count("steps=300") == code.count("runs/notebook") == 1
    script = tmp_path / "notebook.py"
    script.write_text(code.replace("steps=300", "steps=20").replace("runs/notebook", str(tmp_path / "run")))
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "OOD / ID" in done.stdout and "energies (eV)" in done.stdout
