import io
import re

import pytest
from rich.console import Console
from toy_results import extension, make_results

from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.report.table import (
    across_table,
    markdown_table,
    metric_table,
    n_table,
    over,
    significant,
    where_table,
    with_interval,
)


def printed(table, width=120):
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    console.print(table)
    return console.export_text()


@pytest.fixture(scope="module")
def results():
    return make_results()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012, "0.0120"),
        (1.5, "1.50"),
        (123.6, "124"),
        (99.96, "100"),
        (0.99961, "1.00"),
        (0.0, "0"),
        (-0.0571, "-0.0571"),
        (-12.34, "-12.3"),
        (23456.0, "23500"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_three_significant_digits(value, text):
    assert significant(value) == text


def test_a_value_with_its_interval_in_the_unit_shown():
    assert with_interval(Estimate(0.012, 0.0109, 0.0134), 1000) == "12.0 [10.9, 13.4]"
    assert with_interval(Estimate(0.012), 1000) == "12.0"
    assert with_interval(Estimate(None)) == "–"
    assert with_interval(Estimate(0.99871, 0.99862, 0.99914), decimals=4) == "0.9987 [0.9986, 0.9991]"


def row(text, label):
    return next(line for line in text.splitlines() if line.strip().startswith(label))


def test_metric_table_shows_the_numbers_of_the_results(results):
    text = printed(metric_table(results))
    assert "schnet on fragment_duplication[COOH], seed 0" in text
    for part in ("id", "ood"):
        block = results[part]["force_mae"]
        cell = f"{significant(1000 * block['value'])} [{significant(1000 * block['low'])}, "
        assert cell in row(text, "force MAE")
    assert f"{significant(results['ratio']['force_mae']['value'])} [" in row(text, "force MAE")
    assert f"{results['ood']['force_cosine']['value']:.4f}" in row(text, "force cosine")
    assert significant(1000 * results["id"]["energy_mae_centred"]["value"]) in row(text, "E MAE centred")
    assert significant(results["id"]["energy_mae_centred_per_atom"]["value"]) in row(text, "centred (meV/atom)")
    assert "24 molecules, 480 frames" in text


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_off(results, width):
    for table in (metric_table(results, width), n_table(results), where_table(results), across_table([results], width)):
        assert "…" not in printed(table, width)


def test_names_in_brackets_are_not_taken_for_markup():
    named = make_results("chain_extension[amino_acid]")
    assert "chain_extension[amino_acid]" in printed(metric_table(named))
    assert "chain_extension[amino_acid]" in printed(across_table([named]))


def test_n_table_has_every_n_and_marks_what_was_trained():
    results = extension()
    lines = printed(n_table(results)).splitlines()
    rows = {words[0]: words[1:] for words in (line.split() for line in lines) if words and words[0].isdecimal()}
    assert list(rows) == [str(n) for n in range(2, 14)]
    assert [n for n in rows if rows[n][0] == "yes"] == ["2", "3", "4", "5", "6"]
    assert rows["9"] == [significant(1000 * results["by_n"]["ood"]["9"]["force_mae"]["value"])]


def test_where_table_has_each_breakdown_that_applies(results):
    text = printed(where_table(results))
    for label in ("element", "end fragment", "contacts", "bonds to unseen"):
        assert label in text
    assert "fragments " not in text  # no molecule says whether its fragments touch


def test_markdown_is_a_table_of_task_by_model(results):
    other = extension("mace")
    lines = markdown_table([results, other]).splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[:4]]
    assert {len(line) for line in cells} == {10}
    assert cells[2][0].strip() == "`fragment_duplication[COOH]`"
    assert cells[3][1].strip() == "mace"
    block = results["ood"]["force_mae"]
    expected = with_interval(Estimate(block["value"], block["low"], block["high"]), 1000)
    assert cells[2][4].strip() == expected
    ratio = other["ratio"]["force_mae"]
    assert cells[3][5].strip().startswith(significant(ratio["value"]))
    assert "meV" in lines[5]


def test_seeds_become_one_row():
    seeds = [extension(seed=seed) for seed in range(3)]
    lines = markdown_table([*seeds, extension("mace")]).splitlines()
    assert lines[2].startswith("| `chain_extension` | schnet | 3 |")
    assert lines[3].startswith("| `chain_extension` | mace | 1 |")
    assert lines[4] == ""
    mean = sum(item["ood"]["force_mae"]["value"] for item in seeds) / 3
    assert f"| {significant(1000 * mean)} [" in lines[2]
    assert "3 seeds" in printed(across_table(seeds))


def test_tables_of_one_seed_say_that_intervals_are_over_molecules_only(results):
    assert "[95% interval over molecules only]" in " ".join(printed(metric_table(results)).split())
    assert "of one seed over molecules only" in markdown_table([results])
    assert (over(1), over(2, 3)) == ("over molecules only", "over molecules and seeds")
    assert over(1, 2) == "over molecules and seeds, where there are several"
