"""The published numbers and, next to them, what was found here for the same potential on the same task."""

from dataclasses import replace
from pathlib import Path

from toy_results import extension, make_results

from compbench_jax.models.registry import MODELS
from compbench_jax.report.charts import looks
from compbench_jax.report.leaderboard import Source, leaderboard
from compbench_jax.report.site_published import published_by_n, published_cells, published_facts, rows_of

FACTS = published_facts()
(TABLE,) = FACTS["tables"]
(CURVE,) = FACTS["by_n"]
ACIDS = (("acid", range(4, 10)),)
DIACIDS = (("diacid", range(4, 10)),)


def rows(*results):
    return leaderboard([Source(Path("none"), item) for item in results])


def test_the_published_numbers_are_whole():
    assert list(TABLE["rows"]) == list(FACTS["models"])
    assert all(len(values) == len(TABLE["columns"]) == 8 for values in TABLE["rows"].values())
    assert set(FACTS["models"].values()) <= set(MODELS)
    assert TABLE["rows"]["MACE"] == [0.0028, 0.0171, 0.9999, 0.9978, 0.003, 0.0201, 0.0018, 40.97]
    assert TABLE["rows"]["DimeNet++"][TABLE["columns"].index("force_magnitude_mae_ood")] == 0.3863
    assert list(CURVE["force_mae"]) == [str(n) for n in range(2, 14)]
    assert CURVE["force_mae"]["7"] / CURVE["force_mae"]["6"] > 3
    assert len(FACTS["findings"]) == 8 and "order of magnitude" in FACTS["headline"]


def test_what_is_comparable_is_said():
    for item in (TABLE, CURVE):
        same, differs = " ".join(item["same"]), " ".join(item["differs"])
        assert "GFN2-xTB" in same and "Task: trained on" in same
        assert all(word in differs for word in ("Sampling", "Frames per molecule", "Model sizes"))
    assert "mono-carboxylic acids only" in " ".join(TABLE["same"])
    assert "PBE-D3(BJ)" in FACTS["findings_comparable"]


def test_rows_of_the_same_task_only_and_the_published_size_first():
    acids = {"train": ACIDS, "ood": DIACIDS}
    found = rows_of(
        rows(
            make_results("fragment_duplication[COOH]", "mace", **acids),
            make_results("fragment_duplication[COOH]", "painn-paper", **acids),
            make_results("fragment_duplication[COOH]", "painn", **acids),
            make_results("fragment_duplication[NH2]", "schnet", **acids),
            make_results("control_random(fragment_duplication[COOH])", "gemnet", **acids),
        ),
        TABLE,
    )
    assert {name: row.model for name, row in found.items()} == {"mace": "mace", "painn": "painn-paper"}


def test_a_potential_with_a_prior_is_another_one():
    plain = make_results("fragment_duplication[COOH]", "mace", train=ACIDS, ood=DIACIDS)
    helped = make_results("fragment_duplication[COOH]", "mace", train=ACIDS, ood=DIACIDS, scale=0.002)
    helped = helped.replaced(model="mace + classical prior", config={**helped["config"], "prior": "classical"})
    both = rows(plain, helped)
    assert [row.model for row in both] == ["mace", "mace + classical prior"]
    assert [row.model for row in rows_of(both, TABLE).values()] == ["mace"]


def test_all_metrics_stand_in_pairs():
    (row,) = rows(make_results("fragment_duplication", "mace", train=ACIDS, ood=DIACIDS))
    cells = published_cells(TABLE, "MACE", row)
    assert cells[::2] == [
        "0.0028 → 0.0171 (6.1)",
        "0.9999 → 0.9978",
        "0.003 → 0.0201 (6.7)",
        "0.0018 → 40.97 (23000)",
    ]
    for text, metric in ((cells[1], "force_mae"), (cells[5], "force_magnitude_mae"), (cells[7], "energy_mae_raw")):
        inside, _, outside, ratio = text.split()
        assert abs(float(inside) / row.estimate("id", metric).value - 1) < 0.01
        assert abs(float(outside) / row.estimate("ood", metric).value - 1) < 0.01
        assert abs(float(ratio.strip("()")) / row.estimate("ratio", metric).value - 1) < 0.06
    inside, outside = (row.estimate(part, "force_cosine").value for part in ("id", "ood"))
    assert cells[3] == f"{inside:.4f} → {outside:.4f}"
    assert published_cells(TABLE, "MACE", None)[1::2] == ["–"] * 4


def test_a_metric_that_is_undefined_is_a_dash():
    (row,) = rows(make_results("fragment_duplication", "mace", train=ACIDS, ood=DIACIDS))
    ood = row.group.comparison.ood
    empty = replace(ood, values={**ood.values, "energy_mae_raw": float("nan")})
    row = replace(row, group=replace(row.group, comparison=replace(row.group.comparison, ood=empty)))
    cells = published_cells(TABLE, "MACE", row)
    assert cells[7] == "–" and "–" not in cells[:7]


def test_the_chain_curve_starts_at_one():
    figure = published_by_n(CURVE, rows(extension("painn")), looks(["painn"]))
    assert [line["name"] for line in figure["data"]] == [f"{CURVE['model']} (published)", "painn"]
    assert [line["meta"] for line in figure["data"]] == [None, "painn"]  # the published line is always shown
    assert all(line["y"][0] == 1 for line in figure["data"])
    assert round(figure["data"][0]["y"][-1], 2) == 8.64
