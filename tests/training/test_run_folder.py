import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from training_store import make_configuration

from compbench_jax.errors import RunError
from compbench_jax.training.progress import Display
from compbench_jax.training.run import prepare_potential
from compbench_jax.training.run_folder import claim, default_folder, locked, write_split


@pytest.mark.parametrize(
    ("task", "folder"),
    [
        ("chain_extension", "chain_extension-mace-seed0"),
        ("fragment_combination[NH2,COOH]", "fragment_combination-NH2-COOH-mace-seed0"),
        ("control_random(fragment_duplication[OH],seed=3)", "control_random-fragment_duplication-OH-seed=3-mace-seed0"),
    ],
)
def test_default_folder_needs_no_quoting(task, folder):
    assert default_folder(task, "mace", 0) == Path("runs") / folder
    assert default_folder(task, "mace", 0, "classical") == Path("runs") / folder.replace("mace", "mace+classical")


def test_a_folder_is_claimed_once_and_for_one_configuration(store, tmp_path):
    configuration = make_configuration(store)
    assert not claim(tmp_path, configuration, resume=False)
    assert claim(tmp_path, configuration, resume=True)
    with pytest.raises(RunError, match="seed = 3, this one has seed = 9"):
        claim(tmp_path, replace(configuration, seed=9), resume=True)
    with pytest.raises(RunError, match="already holds a run"):
        claim(tmp_path, configuration, resume=False)


def test_a_moved_store_is_recorded(store, tmp_path):
    configuration = make_configuration(store)
    claim(tmp_path, configuration, resume=True)
    claim(tmp_path, replace(configuration, data="moved"), resume=True)
    assert '"data": "moved"' in (tmp_path / "config.json").read_text()


def test_split_is_written_and_must_stay(store, split, tmp_path):
    write_split(tmp_path, store, split)
    write_split(tmp_path, store, split)
    with pytest.raises(RunError, match="names other frames"):
        write_split(tmp_path, store, replace(split, validation=split.validation[1:]))


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    program = (
        "import sys; from pathlib import Path; from compbench_jax.errors import RunError\n"
        "from compbench_jax.training.run_folder import locked\n"
        "try:\n    with locked(Path(sys.argv[1])): print('mine')\n"
        "except RunError as error: print(error)\n"
    )

    def other():
        command = [sys.executable, "-c", program, str(tmp_path / "run")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with locked(tmp_path / "run"):
        assert "another process is training in" in other()
    assert other() == "mine\n"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write to the run folder"), locked(tmp_path / "file" / "run"):
        pass


def test_a_damaged_audit_is_said_and_made_again(store, split, tmp_path, capsys):
    configuration, path = make_configuration(store), tmp_path / "audit.json"
    prepare_potential(tmp_path, configuration, store, split, Display(quiet=True))
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    prepare_potential(tmp_path, configuration, store, split, Display(quiet=True))
    assert path.read_bytes() == whole
    assert "audit.json is damaged" in capsys.readouterr().err


def test_a_pipe_in_place_of_the_lock_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(RunError, match="cannot write"), locked(tmp_path):
        pass
