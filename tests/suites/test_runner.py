"""The runner with stand-ins for the two programs, so that it is its own doing that is tested; and one real cell."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from compbench_jax.cli.main import run_command
from compbench_jax.files import is_alive
from compbench_jax.suites import work
from compbench_jax.suites.cells import Cell, Pretrained, Suite
from compbench_jax.suites.plan import open_plan
from compbench_jax.suites.runner import LOG, run_cells, share_cores
from compbench_jax.suites.work import CELL_FILE, Place, stages

ROOT = Path(__file__).parents[2]
SETTINGS = {"suite": "mini", "minutes": 1.0, "data_hash": "abc", "workers": 2, "hardware": "a processor"}

PROGRAM = """
import json, pathlib, sys, time
words = sys.argv[1:]
value = lambda flag: words[words.index(flag) + 1]
what = words.pop(0)
train = what == "train"
run = pathlib.Path(value("--out") if "--out" in words else value("--run"))
run.mkdir(parents=True, exist_ok=True)
with open(pathlib.Path(__file__).with_name("calls.txt"), "a") as calls:
    calls.write(" ".join([what, run.name, *words]) + chr(10))
if "model:painn" in words:
    print("it blew up"); sys.exit(3)
if "model:mace" in words and "--steps" in words and not (run / "second").exists():
    (run / "second").touch()
    time.sleep(60)
if train:
    lines = [{"event": "train", "structures_per_second": 40.0}] * 3
    (run / "log.jsonl").write_text(chr(10).join(map(json.dumps, lines)))
    (run / "config.json").write_text(json.dumps({"words": words}))
elif what == "convert":
    (run / "config.json").write_text("{}")
else:
    (run / "results.json").write_text("{}")
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    for name in ("train", "evaluate", "convert"):
        monkeypatch.setattr(work, name.upper(), (sys.executable, str(program), name))
    return Place(tmp_path / "data", tmp_path / "runs", tmp_path / "out")


def calls(place):
    return [line.split() for line in (place.runs.parent / "calls.txt").read_text().splitlines()]


def test_a_cell_is_timed_trained_evaluated_and_kept(place):
    cells = [
        Cell("train", "chain_extension", "schnet", seed=1, options=("--optimiser.learning-rate", "1e-2")),
        Cell("fit", "chain_extension", "composition"),
        Cell("calculator", "chain_extension", "gfn1-xtb"),
        Cell("again", "fragment_fission", "schnet", seed=1, parent="chain_extension-schnet-seed1"),
    ]
    said = []
    plan = open_plan(place.out, SETTINGS)
    outcome = run_cells(cells, place, plan, 1, said.append)
    assert sorted(outcome.done) == sorted(cell.name for cell in cells) and not outcome.failed
    made = calls(place)
    # The trial is in a folder of its own; 60 s of 40 structures per second, 8 at a time, are 300 steps.
    assert plan.steps(cells[0]) == 300
    first = [call for call in made if "schnet" in call[1]][:3]
    assert [call[0] for call in first] == ["train", "train", "evaluate"]
    assert first[1][first[1].index("--steps") + 1] == "300"
    assert first[1][first[1].index("--watch.validate-every") + 1] == "38" and "--optimiser.learning-rate" in first[1]
    out = place.results(cells[0])
    assert {"results.json", "config.json", "log.jsonl", CELL_FILE} <= {path.name for path in out.iterdir()}
    assert json.loads((out / CELL_FILE).read_text())["peak_memory_gb"] is None or sys.platform == "linux"
    of = next(call for call in made if "fragment_fission" in call)
    assert of[of.index("--run") + 1] == str(place.run(cells[0]))
    # Once done, nothing is run again; a cell with another setting is another cell.
    assert run_cells(cells, place, plan, 1, said.append).done == [cell.name for cell in cells]
    assert calls(place) == made and "4 of 4 cells are done already" in said
    assert not place.is_done(Cell("train", "chain_extension", "schnet", seed=1))


def test_a_foundation_potential_is_converted_once_and_the_cells_that_need_it_wait(place):
    suite = Suite("", "", ("chain_extension",), 1.0, pretrained={"so3lr": Pretrained(("--freeze", "x"), ())}, frames=7)
    plan = open_plan(place.out, SETTINGS)
    for _ in range(2):
        outcome = run_cells(suite.cells(), place, plan, 2, lambda line: None)
        assert not outcome.failed and len(outcome.done) == 4
    made = calls(place)
    converted = ["convert", "so3lr", "so3lr", "--out", str(place.runs / "so3lr")]
    assert made.count(converted) == 1 and [call[0] for call in made].count("convert") == 1
    needing = [place for place, call in enumerate(made) if converted[-1] in call[1:]]
    assert needing[0] == made.index(converted) and len(needing) > 1
    started = [call for call in made if "--init-from" in call]
    assert {call[call.index("--init-from") + 1] for call in started} == {str(place.runs / "so3lr")}
    assert {call[1] for call in started} == {"chain_extension-so3lr-fine-tuned-seed0"}
    evaluated = [call for call in made if call[0] == "evaluate"]
    assert len(evaluated) == 3 and all(call[2:4] == ["--max-frames", "7"] for call in evaluated)


def test_a_potential_pretrained_here_is_not_evaluated_itself(place):
    suite = Suite("", "", ("chain_extension",), 1.0, ("schnet",), pretrain=(("chain_extension", "schnet"),))
    cells = [cell for cell in suite.cells() if cell.name != "chain_extension-schnet-seed0"]
    outcome = run_cells(cells, place, open_plan(place.out, SETTINGS), 2, lambda line: None)
    assert not outcome.failed and len(outcome.done) == 3
    before = place.run(cells[0])
    kept = {path.name for path in place.results(cells[0]).iterdir()}
    assert {"config.json", CELL_FILE} <= kept and "results.json" not in kept
    started = [call[call.index("--init-from") + 1] for call in calls(place) if "--init-from" in call]
    assert set(started) == {str(before)}
    evaluated = [call[call.index("--run") + 1] for call in calls(place) if call[0] == "evaluate"]
    assert sorted(evaluated) == sorted([str(before), str(place.run(cells[2]))])


def test_cells_of_one_speed_take_the_same_steps_though_each_was_timed(place):
    cells = [Cell("train", "chain_extension", "so3lr"), Cell("train", "chain_extension", "so3lr", label="so3lr-tuned")]
    plan = open_plan(place.out, SETTINGS)
    todo = [stages(cell, place, plan, {}) for cell in cells]
    for cell, trial, rate in zip(cells, [next(item) for item in todo], (40.0, 80.0), strict=True):
        assert trial.name == "timing"
        log = place.runs / "trials" / cell.name / "log.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text(3 * (json.dumps({"event": "train", "structures_per_second": rate}) + "\n"))
    taken = [stage.command[stage.command.index("--steps") + 1] for stage in (next(item) for item in todo)]
    assert taken == ["300", "300"]


def test_a_failure_leaves_the_others_alone(place):
    cells = [
        Cell("train", "chain_extension", "painn"),
        Cell("again", "fragment_fission", "painn", parent="chain_extension-painn-seed0"),
        Cell("fit", "chain_extension", "composition"),
    ]
    outcome = run_cells(cells, place, open_plan(place.out, SETTINGS), 2, lambda line: None)
    assert outcome.done == [cells[2].name]
    assert outcome.failed == {
        cells[0].name: "timing ended with exit code 3: it blew up",
        cells[1].name: "needs chain_extension-painn-seed0, which failed",
    }
    assert "it blew up" in (place.run(cells[0]) / LOG).read_text()


def test_a_signal_stops_the_programs_and_the_suite_goes_on_later(place):
    cell = Cell("train", "chain_extension", "mace")
    plan = open_plan(place.out, SETTINGS)
    plan.note(cell, 40.0, 8, None)

    def stop():
        for _ in range(300):
            if (place.run(cell) / "second").exists():
                return os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)

    thread = threading.Thread(target=stop)
    thread.start()
    outcome = run_cells([cell], place, plan, 1, lambda line: None)
    thread.join()
    assert outcome.stopped == signal.SIGTERM and not outcome.done and not outcome.failed
    assert run_cells([cell], place, plan, 1, lambda line: None).done == [cell.name]


def test_cores_are_dealt_to_the_workers():
    mine = share_cores(1)[0]
    shares = share_cores(2)
    assert len(shares) == 2
    if len(mine) >= 2:
        assert shares[0] | shares[1] == mine and not shares[0] & shares[1]
    assert all(share == mine for share in share_cores(1000))


@pytest.mark.slow
def test_a_real_cell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    words = ["bench", "--only", "chain_extension-composition", "--out", str(tmp_path / "out")]
    words += ["--runs", str(tmp_path / "runs")]
    run_command([*words, "--dry-run"])
    assert "1 of 1 cells are left" in capsys.readouterr().out
    run_command(words)
    out = tmp_path / "out" / "chain_extension-composition-seed0"
    results = json.loads((out / "results.json").read_text())
    assert results["model"] == "composition" and results["ood"]["force_mae"]["value"] > 0.4
    run_command([*words, "--dry-run"])
    assert "0 of 1 cells are left" in capsys.readouterr().out


CHILD = """
import os, time
from compbench_jax.cli.exit_code import exit_code_of
exit_code_of(lambda: (print(os.getpid()), time.sleep(60)))
"""
SUITE = f"""
import sys, time
from compbench_jax.suites.runner import launch
from compbench_jax.suites.work import Stage
launch(Stage("training", (sys.executable, "-u", "-c", {CHILD!r})), set(), sys.stdout.buffer)
time.sleep(60)
"""


def test_a_killed_suite_takes_its_programs_along():
    suite = subprocess.Popen([sys.executable, "-c", SUITE], stdout=subprocess.PIPE, text=True)
    child = int(suite.stdout.readline())
    suite.kill()
    suite.wait()
    deadline = time.monotonic() + 30
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(child)
