"""Equal minutes: steps from a measured speed, kept for good."""

import json

import pytest

from compbench_jax.errors import RunError
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


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}'])
def test_a_spoilt_plan_is_refused(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RunError, match=FILE):
        open_plan(tmp_path, SETTINGS)


def test_the_speed_is_the_median_of_later_lines(tmp_path):
    rates = [1.0, 2.0, 50.0, 40.0, 30.0, 45.0]
    events = [{"event": "start"}, *({"event": "train", "structures_per_second": rate} for rate in rates)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert measured_rate(tmp_path / "log.jsonl") == 42.5
    (tmp_path / "log.jsonl").write_text('{"event": "start"}\n')
    with pytest.raises(RunError, match="no training steps"):
        measured_rate(tmp_path / "log.jsonl")
