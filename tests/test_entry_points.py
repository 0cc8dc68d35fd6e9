"""The programs a user starts: bad input is one line and exit code 2, help is quick and complete."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import COMMANDS
from compbench_jax.store.manifest import file_sha256, read_manifest

ROOT = Path(__file__).parent.parent
MINI = ROOT / "data" / "mini"


def run(*words, cwd=ROOT, **variables):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def compbench(*words, **variables):
    return run("-m", "compbench_jax.cli.main", *words, **variables)


def one_line(result, *parts):
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


@pytest.fixture
def mini(tmp_path):
    """A copy of the mini set, to be spoilt."""
    return shutil.copytree(MINI, tmp_path / "mini", ignore=shutil.ignore_patterns("shards"))


def train(data, *words):
    return run("train.py", "--data", data, "--out", data.parent / "run", *words, "model:schnet")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = compbench(command, "--help")
    assert result.returncode == 0
    assert f"compbench {command}" in result.stdout


def test_help_is_a_map():
    result = compbench("--help")
    assert result.returncode == 0 and all(name in result.stdout for name in COMMANDS)
    one_line(compbench("verfy"), "did you mean 'verify'?")


@pytest.mark.parametrize("words", [("-m", "compbench_jax.cli.main", "models"), ("train.py", "--help")])
@pytest.mark.parametrize("together", [False, True])
def test_a_reader_that_leaves_early_is_no_error(words, together):
    source, sink = os.pipe()
    os.close(source)
    errors = sink if together else subprocess.PIPE
    try:
        result = subprocess.run([sys.executable, *words], cwd=ROOT, stdout=sink, stderr=errors, timeout=120)
    finally:
        os.close(sink)
    assert result.returncode == 1
    assert together or not result.stderr


def test_a_pipe_that_breaks_elsewhere_is_raised():
    def broken():
        raise BrokenPipeError("a worker's")

    with pytest.raises(BrokenPipeError, match="a worker's"):
        exit_code_of(broken)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied"),
        (NotADirectoryError(20, "Not a directory", "a/b"), "a/b: Not a directory"),
        (OSError(30, "Read-only file system", "a/b"), "a/b: Read-only file system"),
        (OSError(24, "Too many open files"), "the system: Too many open files"),
        (OSError(28, "No space left on device", "a/b"), "the disk is full at a/b"),
    ],
)
def test_what_the_system_refuses_is_one_line(capsys, error, message):
    def refused():
        raise error

    assert exit_code_of(refused) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["tpu", "gpuu"])
def test_a_platform_that_is_absent_or_misspelt_is_one_line(mini, platform):
    words = ("--task", "chain_extension", "--data", mini, "--out", mini.parent / "run", "model:schnet")
    one_line(run("train.py", *words, JAX_PLATFORMS=platform), f"JAX_PLATFORMS={platform}", "JAX_PLATFORMS=cpu")
    one_line(compbench("models", JAX_PLATFORMS=platform), f"JAX_PLATFORMS={platform}")


def test_output_in_a_locale_without_our_characters():
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = compbench("tasks", **plain)
    assert result.returncode == 0 and "chain_extension" in result.stdout, result.stderr
    one_line(compbench("täsks", **plain), "no such command", "did you mean 'tasks'")
    result = run("train.py", "--help", **plain)
    assert result.returncode == 0 and "\\u2022 model:schnet" in result.stdout, result.stderr


@pytest.mark.parametrize("program", ["train.py", "evaluate.py"])
def test_programs_explain_themselves(program):
    result = run(program, "--help")
    assert result.returncode == 0 and "--task" in result.stdout


def test_no_such_task(mini):
    one_line(train(mini, "--task", "chain_extention"), "no such task 'chain_extention'", "chain_extension")


def test_no_such_store(tmp_path):
    one_line(train(tmp_path / "nowhere", "--task", "chain_extension"), "does not exist", "compbench generate")


def test_one_flipped_byte(mini):
    path = mini / "forces.npy"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    one_line(train(mini, "--task", "chain_extension"), "forces.npy differs from its SHA-256")
    one_line(compbench("verify", mini, "--sample", "0"), "forces.npy differs from its SHA-256")
    one_line(compbench("audit", "chain_extension", "--data", mini), "forces.npy differs from its SHA-256")


def test_truncated_array(mini):
    path = mini / "positions.npy"
    path.write_bytes(path.read_bytes()[:-100])
    one_line(train(mini, "--task", "chain_extension"), "positions.npy is truncated")


def test_frame_with_nan(mini):
    """A NaN that was there when the checksums were taken."""
    forces = np.load(mini / "forces.npy")
    forces[0, 0] = np.nan  # the first atom of the first frame of ethane
    np.save(mini / "forces.npy", forces)
    path, entry = mini / "manifest.json", read_manifest(mini).files["forces.npy"]
    path.write_text(path.read_text().replace(entry.sha256, file_sha256(mini / "forces.npy")))
    one_line(train(mini, "--task", "chain_extension"), "frame 0 (ethane) has forces that are not finite")
    one_line(compbench("verify", mini, "--sample", "0"), "frame 0 (ethane) has forces that are not finite")


def test_newer_manifest(mini):
    path = mini / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1,', '"version": 9,', 1))
    one_line(train(mini, "--task", "chain_extension"), "version 9", "upgrade")


def test_run_without_a_checkpoint(tmp_path):
    one_line(run("evaluate.py", "--run", tmp_path / "nothing"), "there is no run at")
    (tmp_path / "empty").mkdir()
    one_line(run("evaluate.py", "--run", tmp_path / "empty"), "is not a run folder")


def test_unknown_molecule_setting_and_level(tmp_path):
    generate = ("generate", "--out", tmp_path / "x")
    one_line(compbench(*generate, "--molecules", "hexan"), "no molecule 'hexan'", "hexane")
    one_line(compbench(*generate, "--settings", "temperatur", "300"), "no setting 'temperatur'")
    one_line(compbench(*generate, "--settings", "temperature", "warm"), "it must be a number")
    one_line(compbench(*generate, "--level", "b3lyp"), "unknown level of theory")
    assert not (tmp_path / "x").exists()


def test_the_committed_mini_set_is_sound():
    result = compbench("verify", MINI, "--sample", "10")
    assert result.returncode == 0, result.stderr
    assert "8260 frames" in result.stdout and "118 molecules" in result.stdout
