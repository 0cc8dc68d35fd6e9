"""The overview figure: every potential on every task, and what cannot be drawn."""

import pytest
from report_results import RESULTS, copy_results

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.report.drawing import bars


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_it_is_drawn(tmp_path, ending):
    copy_results(RESULTS / "chain_extension-mace-seed0", tmp_path / "results" / "a")
    copy_results(RESULTS / "chain_extension-schnet-seed0", tmp_path / "results" / "b")
    copy_results(RESULTS / "fragment_duplication-mace-seed0", tmp_path / "results" / "c")
    path = tmp_path / "deep" / f"overview.{ending}"
    assert code("figure", tmp_path / "results", "--kind", "overview", "--out", path) == 0
    assert path.stat().st_size > 5000
    if ending == "svg":
        assert path.read_text().count("<!-- ×") == 3


def test_another_format_is_refused(tmp_path, capsys):
    assert (
        code("figure", RESULTS / "chain_extension-mace-seed0", "--kind", "overview", "--out", tmp_path / "f.gif") == 2
    )
    assert "end its name in .png" in capsys.readouterr().err


def test_bars_reach_from_the_value_to_the_bounds():
    assert bars(Estimate(0.02, 0.015, 0.03)) == [[pytest.approx(5.0)], [pytest.approx(10.0)]]
    assert bars(Estimate(0.02)) is None
