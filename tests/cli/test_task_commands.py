import json

import pytest
from made_up_store import write_made_up_store

from compbench_jax.cli import audit, tasks
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, TaskError
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import core_registry
from compbench_jax.report.task_drawing import pairs_of
from compbench_jax.tasks import get_task


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A store of the twelve alkanes with 2 primary and 3 secondary frames each, of which 1 tunes."""
    graphs = [molecular_graph(molecule) for molecule in core_registry()[:12]]
    return write_made_up_store(tmp_path_factory.mktemp("alkanes") / "store", graphs, 2, 3)


def unwrapped(text):
    """Text of a table without its rules and line breaks."""
    return " ".join(word for word in text.split() if not set(word) & set("│┃━─"))


def test_tasks_lists_every_task_with_its_question(capsys):
    run_command(["tasks"])
    text = unwrapped(capsys.readouterr().out)
    for part in (
        "chain_extension",
        "fragment_duplication[COOH]",
        "fragment_combination[NH2,COOH]",
        "fragment_transfer[OH,NH2]",
        "chain_interpolation",
        "fragment_fusion[OH]",
        "fragment_fission[COOH]",
        "in the paper: Fragment Duplication",
        "inferred here: n = 4–9",
        "control_random(TASK)",
        "oracle(TASK)",
        "OH (alcohol)",
        "amino_acid",
    ):
        assert part in text, part
    assert "in this data set" not in text


def test_tasks_counts_molecules_and_frames_or_says_why_not(capsys, data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    tasks.run(tasks.Arguments(data=data))
    text = unwrapped(capsys.readouterr().out)
    assert "5 molecules trained on, 7 OOD; frames: 10 train, 5 validation, 10 ID test, 14 OOD test" in text
    assert "8 molecules trained on, 4 OOD" in text
    assert "in this data set: the data set has no training molecule (COOH at n = 4–9)" in text


def test_a_training_and_a_test_molecule_of_each_task_are_drawn(tmp_path, capsys):
    run_command(["tasks", "--draw", str(tmp_path / "tasks.png")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "tasks.png")
    assert (tmp_path / "tasks.png").read_bytes().startswith(b"\x89PNG")
    (pair,) = pairs_of([get_task("fragment_fission")])
    assert [molecule.family for molecule in pair] == ["acid", "aldehyde"]


def test_audit_prints_tables(capsys, data):
    run_command(["audit", "chain_extension", "--data", str(data), "--layers", "3"])
    text = unwrapped(capsys.readouterr().out)
    for part in ("Audit of chain_extension", "Sound", "200 random splits", "radius 2 (bonds)", "15 Å", "octane"):
        assert part in text, part


def test_audit_prints_json_and_nothing_else(capsys, data):
    arguments = ["--data", str(data), "--json", "--cutoff", "4.5", "--draws", "10", "--seed", "2"]
    run_command(["audit", "control_random(chain_extension,seed=1)", *arguments])
    read = json.loads(capsys.readouterr().out)
    assert read["task"] == "control_random(chain_extension,seed=1)"
    assert (read["cutoff"], read["draws"], read["seed"]) == (5.0, 10, 2)
    assert [row["radius"] for row in read["profile"]] == [0, 1, 2, 3, 4]
    assert read["sets"]["ood_test"]["frames"] == 14


def test_errors_reach_the_user(data, tmp_path):
    with pytest.raises(TaskError, match="did you mean 'chain_extension'"):
        audit.run(audit.Arguments("chain_extensoin", data))
    with pytest.raises(TaskError, match="the data set has no training molecule"):
        audit.run(audit.Arguments("fragment_duplication", data))
    with pytest.raises(CompBenchError, match="no data set at"):
        audit.run(audit.Arguments("chain_extension", tmp_path / "none"))
