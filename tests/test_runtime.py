import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from compbench_jax import runtime

PROGRAM = """
import os, signal, sys
from compbench_jax.runtime import LEAST, MALLOC, prepare_process
print("started", flush=True)
prepare_process()
assert "jax" not in sys.modules
assert os.environ[LEAST] == "0.1"
print(sys.argv[1:], [os.environ.get(name) for name in MALLOC], os.environ["JAX_COMPILATION_CACHE_DIR"], flush=True)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGTERM)
sys.exit(int(sys.argv[1]))
"""


def run(tmp_path, *words, **environment):
    (tmp_path / "program.py").write_text(PROGRAM)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "COMPBENCH_", "JAX_"))}
    command = [sys.executable, "-X", "utf8", str(tmp_path / "program.py"), *words]
    env = {**kept, "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


needs_glibc = sys.platform == "linux" and runtime.uses_glibc()


def test_program_starts_again_once_with_its_arguments_and_exit_code(tmp_path):
    done = run(tmp_path, "7", "a b", XDG_CACHE_HOME=str(tmp_path / "cache"))
    expected = list(runtime.MALLOC.values()) if needs_glibc else [None] * 4
    cache = runtime.cache_folder({"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines() == ["started"] * (2 if needs_glibc else 1) + [f"['7', 'a b'] {expected} {cache}"]


def test_a_signal_ends_it_as_usual(tmp_path):
    assert run(tmp_path, "kill").returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    "environment",
    [{"COMPBENCH_NO_MALLOC_TUNING": "1"}, {"JAX_PLATFORMS": "cuda"}, dict(runtime.MALLOC)],
)
def test_it_does_not_start_again_where_that_is_not_wanted(tmp_path, environment):
    done = run(tmp_path, "0", **environment)
    assert done.returncode == 0
    assert done.stdout.count("started") == 1


def test_the_users_own_settings_stand(tmp_path):
    done = run(tmp_path, "0", MALLOC_ARENA_MAX="3", JAX_COMPILATION_CACHE_DIR="/mine")
    assert "/mine" in done.stdout
    if needs_glibc:
        assert "['3', '0'" in done.stdout


def test_platform_is_read_from_the_environment_first(monkeypatch):
    assert runtime.runs_on_cpu({"JAX_PLATFORMS": "cpu"})
    assert not runtime.runs_on_cpu({"JAX_PLATFORMS": "cuda,cpu"})
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: object() if "cuda12" in name else None)
    assert not runtime.runs_on_cpu({})
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    assert runtime.runs_on_cpu({})


def test_a_faulty_jax_is_named_once(monkeypatch, capsys):
    monkeypatch.delenv(runtime.WARNED, raising=False)
    monkeypatch.setattr(runtime.importlib.metadata, "version", lambda name: "0.10.1")
    runtime.warn_of_jax()
    assert capsys.readouterr().err == "" and runtime.WARNED not in os.environ
    monkeypatch.setattr(runtime.importlib.metadata, "version", lambda name: "0.11.0")
    runtime.warn_of_jax()
    runtime.warn_of_jax()
    assert capsys.readouterr().err.count("\n") == 1 and os.environ[runtime.WARNED] == "0.11.0"
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert all(f"!={version}" in " ".join(project["dependencies"]) for version in runtime.FAULTY_JAX)


def test_what_a_log_says_about_the_process():
    expected = "keeps memory" if needs_glibc else "user's"
    cache = str(Path.home() / "here")
    found = runtime.process_settings({**runtime.MALLOC, "JAX_COMPILATION_CACHE_DIR": cache})
    assert found == {"allocator": expected, "compilation_cache": "~/here"}
    assert runtime.process_settings({}) == {"allocator": "default", "compilation_cache": None}
    assert runtime.process_settings({"MALLOC_ARENA_MAX": "2"})["allocator"] == "user's"


def test_cache_folder_is_the_users_and_the_processors(monkeypatch):
    first = runtime.cache_folder({})
    assert first.is_relative_to(Path.home() / ".cache" / "compbench_jax")
    assert runtime.cache_folder({"XDG_CACHE_HOME": "relative"}) == first
    monkeypatch.setattr(runtime, "processor", lambda: "another")
    assert runtime.cache_folder({}).parent == first.parent
    assert runtime.cache_folder({}) != first
