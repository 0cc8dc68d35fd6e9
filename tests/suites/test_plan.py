"""Equal minutes: steps from a measured speed, kept for good."""

import json

import pytest

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.suites.cells import Cell
from compbench_jax.suites.plan import FILE, measured_rate, open_plan

SETTINGS = {"suite": "mini", "minutes": 10.0, "data_hash": "abc", "workers": 2, "hardware": "a processor"}
CELL = Cell("train", "chain_extension", "mace")


def test_steps_fill_the_minutes_and_are_kept(tmp_path):
    plan = open_plan(tmp_path, SETTINGS)
    assert plan.steps(CELL) is None
    plan.note(CELL, 41.0, 8, 1.5)
    # 600 s × 41 / s / 8 = 3075
    assert plan.steps(CELL) == 3050
    again = open_plan(tmp_path, SETTINGS | {"workers": 1})
    assert again.steps(CELL) == 3050 and again.settings["workers"] == 2
    assert again.steps(Cell("train", "chain_extension", "mace", seed=4)) == 3050
    assert again.steps(Cell("train", "chain_extension", "mace", seeds=4)) is None
    # The gap is of runs with the same steps.
    assert again.steps(Cell("train", "control_random(chain_extension)", "mace")) == 3050
    assert again.steps(Cell("train", "oracle(chain_extension)", "mace", seed=1)) == 3050
    plan.note(Cell("train", "chain_extension", "slow"), 0.1, 8, None)
    assert plan.steps(Cell("train", "chain_extension", "slow")) == 8


@pytest.mark.parametrize("change", [{"minutes": 5.0}, {"suite": "cpu"}, {"data_hash": "abd"}])
def test_a_plan_of_something_else_is_refused(tmp_path, change):
    open_plan(tmp_path, SETTINGS).write()
    with pytest.raises(RunError, match="another --out"):
        open_plan(tmp_path, SETTINGS | change)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"format": "other"}'])
def test_a_spoilt_plan_is_refused(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(CompBenchError, match=FILE):
        open_plan(tmp_path, SETTINGS)


def write_trial(folder, device, lines):
    """The log of a trial run: rates by the clock, and the shares of its cores that the run had."""
    events = [{"event": "start", "device": device}]
    events += [{"event": "train", "structures_per_second": a, "processor_fraction": b} for a, b in lines]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, events)))
    return folder / "log.jsonl"


def test_the_speed_is_the_median_of_later_lines(tmp_path):
    rates = [1.0, 2.0, 50.0, 40.0, 30.0, 45.0]
    assert measured_rate(write_trial(tmp_path, "cpu", [(rate, 1.0) for rate in rates])) == 42.5
    with pytest.raises(RunError, match="no training steps"):
        measured_rate(write_trial(tmp_path, "cpu", []))


def test_others_on_the_machine_cost_no_steps(tmp_path):
    alone = [(40.0, 1.0), (42.0, 1.0), (41.0, 1.0)]
    disturbed = [(40.0, 1.0), (21.0, 0.5), (10.25, 0.25)]
    assert measured_rate(write_trial(tmp_path, "cpu", alone)) == measured_rate(write_trial(tmp_path, "cpu", disturbed))
    # The host of an accelerator is idle by design.
    assert measured_rate(write_trial(tmp_path, "NVIDIA H200", [(400.0, 0.1)])) == 400.0
