"""Submissions: made from results, shown under their name, and refused with a reason when something was touched."""

import hashlib
import json
from pathlib import Path

import pytest
from report_results import RESULTS, copy_results

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.report.leaderboard import leaderboard, read_sources
from compbench_jax.store.published import PUBLISHED

ROOT = Path(__file__).parents[2]
WORDS = ["--name", "My potential", "--description", "A test.", "--pretraining", "none"]


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


@pytest.fixture
def submission(tmp_path):
    for task in ("chain_extension", "fragment_duplication"):
        copy_results(RESULTS / f"{task}-mace-seed0", tmp_path / "runs" / task, shown=True)
    assert code("submit", tmp_path / "runs", *WORDS, "--out", tmp_path / "board" / "mine") == 0
    return tmp_path / "board" / "mine"


def change(folder, part, new, resum=True):
    """Replace text in a results file, and its sum with it."""
    path = folder / "chain_extension-seed0" / "results.json"
    content = json.loads(path.read_text())
    place = content
    *keys, last = part.split("/")
    for key in keys:
        place = place[int(key) if isinstance(place, list) else key]
    last = int(last) if isinstance(place, list) else last
    place[last] = new(place[last]) if callable(new) else new
    path.write_text(json.dumps(content))
    if resum:
        file = folder / "submission.json"
        listed = json.loads(file.read_text())
        listed["results"][0]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        file.write_text(json.dumps(listed))


def test_a_submission_is_valid_and_shown_under_its_name(submission, capsys):
    assert code("validate", submission) == 0
    assert capsys.readouterr().out.strip() == f"{submission}: valid"
    rows = leaderboard(read_sources([submission.parent, RESULTS / "chain_extension-schnet-seed0"]))
    assert rows[0].task == "chain_extension" and rows[0].model == "My potential"
    assert sorted({row.model for row in rows}) == ["My potential", "schnet"]
    other = RESULTS / "chain_extension-schnet-seed0"
    assert code("report", submission.parent, other, "--out", submission.parents[1] / "r") == 0
    page = (submission.parents[1] / "r" / "index.html").read_text()
    assert page.count("partial: 1 of 2 tasks") == 1
    assert not (submission / "chain_extension-seed0" / "force_mae_by_n.png").exists()


@pytest.mark.parametrize(
    ("part", "new", "message"),
    [
        ("ood/sums/0/1", lambda x: x / 2, "have force errors that contradict each other"),
        ("ood/sums/0/1", lambda x: x * 1.05, "do not add up to the molecule"),
        ("ood/sums/0/0", lambda x: -x, "negative count"),
        ("ood/groups/force/2–3/0/1", lambda x: x / 2, "ood/groups/force: those of"),
        ("id/molecules/0/name", "gold", "the registry says"),
        ("role", "control", "role is 'control', the task says 'task'"),
        ("kind", "zero-shot", "kind is 'zero-shot', the configuration says 'trained'"),
        ("ood/force_mae", 0.001, "unknown field"),
        ("seed", 3, "seed is 3"),
        ("task", "chain_extention", "did you mean"),
        ("data", "0" * 64, "none of the benchmark's"),
        ("id/sums/0/1", "small", "Expected `float | null`, got `str` - at `$.id.sums[0][1]`"),
        ("ood/sums", [], "ood/sums are not one row"),
        ("version", 7, "upgrade"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(submission, capsys, part, new, message):
    change(submission, part, new)
    assert code("validate", submission) == 2
    text = capsys.readouterr()
    assert message in text.out and "not valid" in text.err


def test_files_that_were_touched_or_do_not_belong_are_refused(submission, capsys):
    change(submission, "date", "yesterday", resum=False)
    assert code("validate", submission) == 2
    assert "SHA-256" in capsys.readouterr().out
    (submission / "run.sh").write_text("echo")
    assert code("validate", submission) == 2
    assert "run.sh does not belong" in capsys.readouterr().out
    (submission / "run.sh").unlink()
    (submission / "README.md").symlink_to("/etc/passwd")
    assert code("validate", submission) == 2
    assert "is a link" in capsys.readouterr().out


def test_a_split_that_is_not_sound_is_refused(submission, capsys):
    path = submission / "chain_extension-seed0" / "audit.json"
    audit = json.loads(path.read_text())
    path.write_text(json.dumps(audit | {"failures": ["butane is in both sets"]}))
    assert code("validate", submission) == 2
    assert "butane is in both sets" in capsys.readouterr().out
    path.unlink()
    assert code("validate", submission) == 2
    assert "audit.json: check the name, or restore it" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../up", "a/b", ""])
def test_a_folder_outside_is_refused(submission, capsys, name):
    file = submission / "submission.json"
    content = json.loads(file.read_text())
    content["results"][0]["folder"] = name
    file.write_text(json.dumps(content))
    assert code("validate", submission) == 2
    assert "results/0/folder" in capsys.readouterr().out


def test_bad_words_are_one_line(submission, tmp_path, capsys):
    assert code("submit", tmp_path / "runs", *WORDS, "--out", submission) == 2
    assert "not empty" in capsys.readouterr().err
    assert code("submit", tmp_path / "runs", *WORDS[:-1], " ", "--out", tmp_path / "new") == 2
    assert "--pretraining is empty" in capsys.readouterr().err
    assert code("validate", tmp_path) == 2
    assert "submission.json: make it with compbench submit" in capsys.readouterr().out
    assert code("validate") == 2


def test_the_published_data_are_those_of_the_folders():
    found = {
        hashlib.sha256((path / "manifest.json").read_bytes()).hexdigest(): f"data/{path.name}"
        for path in sorted((ROOT / "data").iterdir())
        if (path / "manifest.json").exists()
    }
    assert found == PUBLISHED


def test_the_leaderboard_of_the_repository_is_valid():
    folders = [path for path in sorted((ROOT / "leaderboard").iterdir()) if path.is_dir()]
    assert folders
    for folder in folders:
        assert code("validate", folder) == 0, folder
