"""Foundation potentials: the table, and environments that are made with the right commands."""

import json
from pathlib import Path

import pytest

from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError
from compbench_jax.foundation import install as install_module
from compbench_jax.foundation.install import (
    MARKER,
    TORCH,
    foundation_folder,
    foundation_spec,
    install,
    is_installed,
)
from compbench_jax.foundation.registry import FOUNDATIONS, get_foundation


def make(folder):
    """What the first command leaves behind."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").touch()
    (folder / "bin" / "python").touch()


def test_every_row_can_be_printed_and_used():
    for name, item in FOUNDATIONS.items():
        assert item.name == name
        assert {1, 6, 8} <= set(item.numbers)
        assert item.packages and all("==" in package or "<" in package for package in item.packages)
        module = item.calculator.partition(":")[0]
        assert not module.endswith(".py") or (Path(install_module.__file__).parent / module).is_file()
    assert len(FOUNDATIONS["7net-0"].numbers) == 89


def test_torch_comes_first_and_the_marker_last(tmp_path):
    folder, commands = tmp_path / "so3lr", []

    def run(command):
        make(folder)
        commands.append(command)
        if command[-1] == TORCH and len(commands) == 2:
            raise CompBenchError("the network is down")

    item = get_foundation("so3lr")
    with pytest.raises(CompBenchError, match="network"):
        install(item, folder, say=lambda _: None, run=run)
    assert not is_installed(folder, item)
    install(item, folder, ("--index-url", "somewhere"), lambda _: None, run)
    assert is_installed(folder, item)
    venv, torch, rest = commands[2:]
    assert venv[1:3] == ["-m", "venv"]
    assert torch[-3:] == ["--index-url", "somewhere", TORCH]
    assert rest[-2:] == [TORCH, "so3krates-torch==0.2.1"]
    install(item, folder, say=lambda _: None, run=run)
    assert len(commands) == 5
    spec = foundation_spec("so3lr", folder)
    assert spec.python == str(folder / "bin" / "python") and spec.level == "PBE0+MBD"
    assert spec.keywords["r_max_lr"] == 1000.0
    # Environments of other versions are not taken for this one.
    (folder / MARKER).write_text(json.dumps({"name": "so3lr", "packages": [TORCH, "so3krates-torch==0.1"]}))
    assert not is_installed(folder, item)


def test_nothing_else_is_overwritten(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CompBenchError, match="not empty"):
        install(get_foundation("so3lr"), tmp_path, say=print, run=lambda _: None)


def test_folders(tmp_path):
    assert foundation_folder("so3lr", None, {"COMPBENCH_FOUNDATION_DIR": str(tmp_path)}) == tmp_path / "so3lr"
    assert foundation_folder("so3lr", None, {"XDG_DATA_HOME": str(tmp_path)}).is_relative_to(tmp_path)
    assert foundation_folder("so3lr", tmp_path / "here", {}) == tmp_path / "here"


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COMPBENCH_FOUNDATION_DIR", str(tmp_path))
    run_command(["foundation", "list"])
    text = capsys.readouterr().out
    assert all(name in text for name in FOUNDATIONS) and "PBE0+MBD" in text
    for words, message in (
        (["install", "so3l"], "did you mean 'so3lr'"),
        (["install"], "which potential"),
        (["path", "so3lr"], "compbench foundation install so3lr"),
    ):
        with pytest.raises(CompBenchError, match=message):
            run_command(["foundation", *words])
    make(tmp_path / "so3lr")
    (tmp_path / "so3lr" / MARKER).write_text(
        json.dumps({"name": "so3lr", "packages": [TORCH, *FOUNDATIONS["so3lr"].packages]})
    )
    run_command(["foundation", "path", "so3lr"])
    assert capsys.readouterr().out.strip() == str(tmp_path / "so3lr" / "bin" / "python")


def test_a_potential_without_weights_asks_for_a_file(tmp_path, capsys):
    item, said = get_foundation("mace"), []
    install(item, tmp_path, say=said.append, run=lambda _: make(tmp_path))
    with pytest.raises(CompBenchError, match=r"--calculator mace.calculators:MACECalculator --python .*model_paths"):
        foundation_spec("mace", tmp_path)
    run_command(["foundation", "path", "mace", "--dir", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "bin" / "python")


def test_who_downloads_weights_says_so(tmp_path):
    item, said = get_foundation("uma"), []
    install(item, tmp_path, say=said.append, run=lambda _: make(tmp_path))
    assert "the first use downloads the weights, from the Hugging Face hub" in said[-1]
    assert foundation_spec("uma", tmp_path).path.endswith("foundation/uma.py:make")
