import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from compbench_jax.training.checkpoint import load_run
from compbench_jax.training.log import read_log

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = 600


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": cache}


def command(store, run):
    watch = ["--watch.log-every", "1", "--watch.validate-every", "200", "--watch.checkpoint-seconds", "1"]
    model = ["model:schnet", "--model.features", "4", "--model.interactions", "1", "--model.n-basis", "4"]
    where = ["--task", "chain_extension", "--data", str(store.path), "--out", str(run), "--steps", str(STEPS)]
    return [sys.executable, str(ROOT / "train.py"), *where, *watch, *model]


def last_step(run):
    return max((line["step"] for line in read_log(run / "log.jsonl")), default=0)


def stop_at(words, run, step, number, environment):
    """Send a signal once this step is logged; exit code and what was said."""
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while last_step(run) < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def comparable(run):
    lines = [line for line in read_log(run / "log.jsonl") if line["event"] in ("train", "validation")]
    return [{k: v for k, v in line.items() if k not in ("seconds", "structures_per_second")} for line in lines]


def test_killed_and_interrupted_runs_resume_bit_for_bit(store, tmp_path, environment):
    whole, run = tmp_path / "whole", tmp_path / "run"
    done = subprocess.run(command(store, whole), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = command(store, run)

    assert stop_at(words, run, 100, signal.SIGKILL, environment)[0] == -signal.SIGKILL

    code, said = stop_at(words, run, last_step(run) + 100, signal.SIGTERM, environment)
    assert code == 128 + signal.SIGTERM, said
    assert "stopped by SIGTERM after step" in said
    assert "Traceback" not in said
    stopped = load_run(run, "latest").step
    assert f"after step {stopped}, saved" in said
    assert last_step(run) <= stopped < STEPS

    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"resuming at step {stopped} of {STEPS}" in done.stderr
    assert comparable(run) == comparable(whole)
    for which in ("best", "latest"):
        a, b = load_run(whole, which), load_run(run, which)
        assert a.step == b.step
        for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
            assert x.tobytes() == y.tobytes()

    other = [*words[: words.index("--steps")], "--steps", str(STEPS + 1), *words[words.index("--steps") + 2 :]]
    done = subprocess.run(other, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "steps = 600, this one has steps = 601" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_ten_kills_at_random_moments(store, environment):
    words = [sys.executable, str(ROOT / "benchmarks" / "kill_training.py"), "--data", str(store.path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kill ") == 10
