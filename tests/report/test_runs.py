import copy

import numpy as np
import pytest
from toy_results import extension, make_results

from compbench_jax.errors import RunError
from compbench_jax.report.comparison import matched_line, paired
from compbench_jax.report.runs import group_runs, identity, pool


def test_a_run_by_itself_has_the_intervals_of_its_own_results():
    results = make_results()
    (group,) = group_runs([results])
    for part in ("id", "ood", "ratio"):
        for name in ("force_mae", "force_cosine", "energy_mae_centred"):
            estimate = getattr(group.comparison, part).estimate(name)
            for key in ("value", "low", "high"):
                assert getattr(estimate, key) == pytest.approx(results[part][name][key], rel=1e-4)


def test_runs_are_grouped_by_everything_but_the_seed():
    first, second = extension(seed=1), extension(seed=0)
    other_model = extension("mace")
    other_settings = extension(seed=2)
    other_settings["config"]["model"]["channels"] = 64
    other_data = extension(seed=3)
    other_data["data"] = "e" * 64
    groups = group_runs([first, other_model, second, other_settings, other_data])
    assert [[run["seed"] for run in group.runs] for group in groups] == [[0, 1], [0], [2], [3]]
    assert identity(first) == identity(second)


def test_the_mean_over_seeds_and_wider_intervals():
    runs = [extension(seed=0), extension(seed=1, scale=0.03)]
    (group,) = group_runs(runs)
    estimate = group.comparison.ood.estimate("force_mae")
    values = [run["ood"]["force_mae"]["value"] for run in runs]
    assert estimate.value == pytest.approx(np.mean(values), rel=1e-4)
    own = runs[0]["ood"]["force_mae"]
    assert estimate.high - estimate.low > own["high"] - own["low"]


def test_the_same_run_twice_is_refused():
    with pytest.raises(RunError, match="seed 0 are given twice"):
        group_runs([extension(), extension("mace"), extension()])


def test_the_order_of_molecules_in_the_file_does_not_matter():
    straight = extension()
    turned = copy.deepcopy(straight)
    turned["molecule_sums"]["ood"] = dict(reversed(turned["molecule_sums"]["ood"].items()))
    a, b, difference = paired(straight, turned, 100, 0)
    assert a.ood.estimate("force_mae") == b.ood.estimate("force_mae")
    assert difference.ood.estimate("force_mae").high == pytest.approx(0)


def test_paired_difference_of_two_models():
    a, b = extension("schnet"), extension("mace", scale=0.015)
    _, _, difference = paired(a, b, 500, 0)
    estimate = difference.ood.estimate("force_mae")
    assert estimate.value == pytest.approx(b["ood"]["force_mae"]["value"] - a["ood"]["force_mae"]["value"], rel=1e-3)
    assert estimate.low < estimate.value < estimate.high < 0


def test_runs_on_other_frames_are_not_paired():
    a = extension()
    with pytest.raises(RunError, match="different tasks"):
        paired(a, make_results(), 10, 0)
    other = extension("mace")
    other["data"] = "e" * 64
    with pytest.raises(RunError, match="different data sets"):
        paired(a, other, 10, 0)
    with pytest.raises(RunError, match=r"(OOD|ID) frames"):
        paired(a, extension("mace", n_frames=19), 10, 0)
    renamed = extension("mace")
    renamed["molecule_sums"]["id"]["KEY-other"] = renamed["molecule_sums"]["id"].pop("KEY-alkane-3")
    with pytest.raises(RunError, match="ID molecules of mace"):
        paired(a, renamed, 10, 0)


def test_results_without_sums_are_refused():
    results = extension()
    del results["molecule_sums"]
    with pytest.raises(RunError, match="no molecule sums"):
        pool([results])


def test_matched_error_in_words(tmp_path):
    for name, points in {"a": [(0, 0.4, 0.5), (100, 0.1, 0.2)], "b": [(0, 0.4, 0.6), (50, 0.2, 0.5)]}.items():
        (tmp_path / name).mkdir()
        lines = (
            f'{{"step": {step}, "monitor_id_force_mae": {id}, "monitor_ood_force_mae": {ood}}}'
            for step, id, ood in points
        )
        (tmp_path / name / "log.jsonl").write_text("\n".join(lines))
    text = matched_line([tmp_path / "a", tmp_path / "b"])
    assert "where the ID force MAE is 200" in text
    assert "A 300 (step 67), B 500 (step 50)" in text
    assert "not available" in matched_line([tmp_path / "a", tmp_path / "nowhere"])
