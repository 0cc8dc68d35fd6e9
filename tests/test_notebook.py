"""The notebook of the documentation runs from top to bottom, in a fresh process, as it stands."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_notebook_runs(tmp_path):
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text())["cells"]
    code = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert code.count("steps=300") == 1
    script = tmp_path / "notebook.py"
    script.write_text(code.replace("steps=300", "steps=20"))
    environment = {**os.environ, "MPLBACKEND": "Agg", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "failures: none" in done.stdout and "  ood: " in done.stdout
    assert "butanedioic acid: 100% of frames" in done.stdout
