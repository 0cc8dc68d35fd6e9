import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.train import wire
from compbench_jax.training.arguments import configure, parse
from compbench_jax.training.configuration import write
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.log import read_log

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = 400
TIMED = ("seconds", "structures_per_second", "host_fraction", "processor_fraction")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": cache}


def command(store, run):
    watch = ["--watch.log-every", "2", "--watch.validate-every", "150", "--watch.checkpoint-seconds", "1"]
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
        time.sleep(0.05)  # reading the log more often would slow down what is being watched
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def comparable(run):
    lines = [line for line in read_log(run / "log.jsonl") if line["event"] in ("train", "validation")]
    return [{k: v for k, v in line.items() if k not in TIMED} for line in lines]


def test_killed_and_interrupted_runs_resume_bit_for_bit(store, tmp_path, environment):
    whole, run = tmp_path / "whole", tmp_path / "run"
    done = subprocess.run(command(store, whole), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = command(store, run)

    assert stop_at(words, run, 60, signal.SIGKILL, environment)[0] == -signal.SIGKILL

    code, said = stop_at(words, run, last_step(run) + 60, signal.SIGTERM, environment)
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


def test_bad_command_lines_are_one_line_and_code_2(store, split, tmp_path, monkeypatch, capsys):
    def said(*words):
        monkeypatch.setattr(sys, "argv", ["train.py", *words])
        assert exit_code_of(wire) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    where = ["--out", str(tmp_path / "run"), "model:schnet"]
    assert "no such task 'chain'" in said("--task", "chain", "--data", str(store.path), *where)
    assert "no data set at" in said("--task", "chain_extension", "--data", str(tmp_path / "none"), *where)
    assert "--steps is 0" in said("--task", "chain_extension", "--data", str(store.path), "--steps", "0", *where)
    assert not (tmp_path / "run").exists()
    arguments = parse(["--task", "chain_extension", "--data", str(store.path), *where])
    (tmp_path / "run").mkdir()
    write(tmp_path / "run" / "config.json", configure(arguments, "chain_extension", store.hash))
    other = said("--task", "chain_extension", "--data", str(store.path), "--batch-size", "9", *where)
    assert "holds a run with batch_size = 8, this one has batch_size = 9" in other


@pytest.mark.slow
def test_ten_kills_at_random_moments(store, environment):
    words = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--data", str(store.path), "--kills", "10"]
    words += ["--steps", "800"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kill ") == 10
