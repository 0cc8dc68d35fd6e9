"""A wheel built from the project works without the clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_wheel_works_outside_the_clone(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("compbench_jax-*.whl")
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", site, wheel], check=True)

    def run(code, *words):
        environment = {**os.environ, "PYTHONPATH": str(site)}
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    where = run("import compbench_jax, compbench_jax.tasks as t; print(compbench_jax.__file__); print(t.__file__)")
    assert all(line.startswith(str(site)) for line in where.split())
    main = "import sys; from compbench_jax.{0} import main; sys.argv[0] = 'x'; main()"
    assert "fragment_duplication" in run(main.format("cli.main"), "tasks", "--data", ROOT / "data" / "mini")
    words = ("--task", "chain_extension", "--data", ROOT / "data" / "mini", "--steps", "2", "--out", tmp_path / "run")
    run(main.format("cli.train"), *words, "model:schnet", "--model.features", "8")
    assert "OOD / ID" in run(main.format("cli.evaluate"), "--run", tmp_path / "run", "--samples", "20")
    assert (tmp_path / "run" / "results.json").exists()
