import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from toy_results import extension, make_results

from compbench_jax.errors import RunError
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.evaluation.result import SetResult, by_name
from compbench_jax.evaluation.result_file import write_result
from compbench_jax.metrics.aggregate import SUM_COLUMNS
from compbench_jax.report.comparison import matched_line, paired, verdict
from compbench_jax.report.runs import group_runs, identity, read_runs
from compbench_jax.training import configuration


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
    other_data = extension(seed=3).replaced(data="e" * 64)
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
    ood = straight.result.ood
    turned = straight.replaced(ood=SetResult(ood.molecules[::-1], ood.sums[::-1]))
    found = paired([straight], [turned])
    assert found.a.ood.estimate("force_mae") == found.b.ood.estimate("force_mae")
    assert found.difference.ood.p("force_mae") == 1
    assert found.difference.ood.estimate("force_mae").high == pytest.approx(0)


def test_paired_difference_of_two_models():
    a, b = extension("schnet"), extension("mace", scale=0.015)
    estimate = paired([a], [b]).difference.ood.estimate("force_mae")
    assert estimate.value == pytest.approx(b["ood"]["force_mae"]["value"] - a["ood"]["force_mae"]["value"], rel=1e-3)
    assert estimate.low < estimate.value < estimate.high < 0


def test_runs_on_other_frames_are_not_paired():
    a = extension()
    with pytest.raises(RunError, match="different tasks"):
        paired([a], [make_results()])
    other = extension("mace").replaced(data="e" * 64)
    with pytest.raises(RunError, match="different data sets"):
        paired([a], [other])
    with pytest.raises(RunError, match=r"(OOD|ID) frames"):
        paired([a], [extension("mace", n_frames=19)])
    inside = extension("mace").result.id
    molecules = [msgspec.structs.replace(inside.molecules[0], inchikey="KEY-other"), *inside.molecules[1:]]
    renamed = extension("mace").replaced(id=SetResult(molecules, inside.sums))
    with pytest.raises(RunError, match="ID molecules of mace"):
        paired([a], [renamed])


def test_a_new_column_leaves_old_results_readable():
    """Sums are read by name: a column that was not there is not a number, its metrics are absent in tables."""
    old = extension()
    columns = (*SUM_COLUMNS[:3], "new", *SUM_COLUMNS[3:])
    sums = by_name(old.result.ood.sums, SUM_COLUMNS, columns)
    assert np.isnan(sums[:, 3]).all()
    np.testing.assert_array_equal(np.delete(sums, 3, axis=1), old.sums("ood"))
    squared = SUM_COLUMNS.index("squared_force")
    less = {
        part: SetResult(
            getattr(old.result, part).molecules,
            [np.delete(row, squared).tolist() for row in getattr(old.result, part).sums],
        )
        for part in ("id", "ood")
    }
    names = [name for name in SUM_COLUMNS if name != "squared_force"]
    changed = old.replaced(**less, columns=msgspec.structs.replace(old.result.columns, frames=names))
    (group,) = group_runs([changed])
    assert group.comparison.ood.estimate("force_rmse") == Estimate(None)
    assert group.comparison.ood.estimate("force_mae").value == pytest.approx(old["ood"]["force_mae"]["value"], rel=1e-4)
    assert group.comparison.ratio.estimate("force_mae").low is not None


def test_matched_error_in_words(tmp_path):
    for name, points in {"a": [(0, 0.4, 0.5), (100, 0.1, 0.2)], "b": [(0, 0.4, 0.6), (50, 0.2, 0.5)]}.items():
        (tmp_path / name).mkdir()
        lines = (
            f'{{"event": "validation", "step": {step}, "monitor_id_force_mae": {id}, "monitor_ood_force_mae": {ood}}}'
            for step, id, ood in points
        )
        (tmp_path / name / "log.jsonl").write_text("\n".join(lines))
    text = matched_line([tmp_path / "a", tmp_path / "b"])
    assert "where the ID force MAE is 200" in text
    assert "A 300 (step 67), B 500 (step 50)" in text
    assert "not available" in matched_line([tmp_path / "a", tmp_path / "nowhere"])


def test_several_seeds_of_a_side_are_pooled_and_independent():
    a = [extension("schnet", seed=seed) for seed in (0, 1)]
    b = [extension("mace", seed=seed, scale=0.015) for seed in (0, 1, 2)]
    found = paired(a, b)
    values = [np.mean([run["ood"]["force_mae"]["value"] for run in side]) for side in (a, b)]
    assert found.difference.ood.estimate("force_mae").value == pytest.approx(values[1] - values[0], rel=1e-3)
    assert found.n_seeds == 2
    assert found.difference.ood.differs("force_mae")
    assert "molecules only" not in verdict(found, "ood")
    with pytest.raises(RunError, match="differ in more than their seed"):
        paired([a[0], b[0]], b)


def test_the_verdict_is_plain():
    a, b = extension("schnet"), extension("mace", scale=0.015)
    found = paired([a], [b])
    assert verdict(found, "ood").startswith("OOD force MAE: B is better, A ")
    assert verdict(found, "ood").endswith("; molecules only, other seeds may differ)")
    same = paired([a], [a.replaced(date="2026-01-02")])
    assert "OOD force MAE: not significantly different (B − A = 0 [0, 0] meV/Å, p = 1;" in verdict(same, "ood")
    assert "not significantly different" in verdict(same, "ratio")
    few = {"train": (("alkane", range(2, 7)),), "ood": (("alkane", range(7, 10)),)}
    three = [make_results("chain_extension", model, penalty=p, **few) for model, p in (("schnet", 1.5), ("mace", 9.0))]
    assert "not significantly different" in verdict(paired(three[:1], three[1:]), "ood")
    assert "fewer than 4 molecules: no interval" in verdict(paired(three[:1], three[1:]), "ood")


def test_a_calculator_has_no_seeds():
    a, b = extension("schnet"), extension("xtb", scale=0.015)
    b = b.replaced(kind="foreign")
    assert paired([a, extension("schnet", seed=1)], [b]).n_seeds == 2
    assert paired([a], [b]).n_seeds == 1


def test_members_of_a_run_count_as_its_seeds(tmp_path):
    members = {"trained": [{"member": 0}, {"member": 1}, {"member": 2}]}
    write_result(tmp_path / "results.json", extension(seed=1).replaced(members=members).result)
    for seed in (0, 1):
        write_result(tmp_path / "members" / str(seed) / "results.json", extension(seed=seed).result)
    found = read_runs([tmp_path])
    assert [folder.name for folder, _ in found] == ["0", "1"]
    assert [results["seed"] for _, results in found] == [0, 1]
    assert len(read_runs([tmp_path / "members" / "1" / "results.json"])) == 1


def test_a_run_of_an_older_version_is_a_copy_of_one_of_today():
    """Settings that were not written then have their defaults; seeds of a run of several members are copies too."""
    path = Path(__file__).with_name("config_version_1.json")
    old = extension(seed=0).replaced(config=json.loads(path.read_text()))
    now = configuration.to_json(configuration.from_json(old["config"], path))
    assert (old["config"]["version"], now["version"]) == (1, configuration.VERSION)
    new = extension(seed=1).replaced(config={**now, "seed": 1, "seeds": 4})
    assert identity(old) == identity(new)
    assert len(group_runs([old, new])) == 1
    new["config"]["loss"]["energy"] = "mse"
    assert identity(old) != identity(new)
    assert identity(old) != identity(old.replaced(task="other"))
