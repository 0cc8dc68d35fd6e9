"""The SLURM example of docs/cluster.md is run as it stands, with a stand-in for sbatch that runs jobs here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "cluster.md"
SBATCH = """#!/bin/bash
script=$(mktemp "$HERE/script.XXXXXX") && cp "${@: -1}" "$script"  # sbatch, too, takes a copy
setsid bash "$script" > "$HERE/job.log" 2>&1 < /dev/null &
echo $! >> "$HERE/jobs"
echo "Submitted batch job $!"
"""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_every_command_on_the_page_parses():
    import shlex

    import tyro

    from compbench_jax.cli.generate import Arguments, resolve_part

    lines = [line for block in blocks("bash") for line in block.splitlines() if "compbench generate" in line]
    assert len(lines) == 3
    for line in lines:
        words = shlex.split(line[line.index("compbench generate") :].rstrip('"') + ('"' if '"$' in line else ""))
        arguments = tyro.cli(Arguments, args=[w.replace("$SLURM_ARRAY_TASK_ID", "7") for w in words[2:]])
        assert resolve_part(arguments.part) in (None, (7, 64))


@pytest.mark.slow
def test_the_slurm_example_makes_a_store(tmp_path):
    from compbench_jax.store.store import open_store

    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", '#!/bin/bash\nkill -- "-$1"\n')):
        (binaries / name).write_text(text)
        (binaries / name).chmod(0o755)
    script = blocks("python")[0].replace("cores=8", "cores=2").replace("processes=8", "processes=2")
    script = script.replace("jobs=12", "jobs=1")
    (tmp_path / "scheduler.py").write_text(script)
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "HERE": str(tmp_path)}
    scheduler = subprocess.Popen(
        [sys.executable, "scheduler.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        address = scheduler.stdout.readline().strip()
        settings = "primary_frames 2 primary_segments 2 secondary_frames 2 secondary_segments 2 tuning_frames 1"
        command = [
            sys.executable, "-m", "compbench_jax.cli.main", "generate", "--molecules", "ethane",
            "--out", tmp_path / "out",
            "--executor", "dask", "--scheduler", address, "--settings", *settings.split(), "equilibration", "5",
        ]  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr + (tmp_path / "job.log").read_text()
        assert f"the workers of {address}" in result.stderr
    finally:
        scheduler.kill()
        scheduler.communicate()
        for job in (tmp_path / "jobs").read_text().split():
            subprocess.run(["kill", "--", f"-{job}"], check=False, stderr=subprocess.DEVNULL)
    assert open_store(tmp_path / "out", checksums=True).n_frames == 4
