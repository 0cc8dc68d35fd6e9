"""Tables and figures of a grid: the numbers are those of the results, and pages keep what is not theirs."""

import json
import re
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from report_results import RESULTS, copy_results
from toy_results import make_results

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import DataError, RunError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.report import findings_figures
from compbench_jax.report.findings import BLOCKS, findings, training
from compbench_jax.report.findings_figures import style
from compbench_jax.report.findings_material import NOTHING, material, ranges
from compbench_jax.report.leaderboard import Source, read_sources
from compbench_jax.report.pages import csv_of, fill, fill_page
from compbench_jax.report.site_published import published_facts

TASKS = ("chain_extension", "fragment_duplication", "fragment_combination", "fragment_fusion")
FIGURES = (
    "overview",
    "ratios",
    "lengths",
    "training",
    "directions",
    "distances",
    "gaps",
    "divergence",
    "energies",
    "summary",
)


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """SchNet and MACE on four tasks, a third potential on one, controls, and a potential in three forms."""
    folder = tmp_path_factory.mktemp("grid")
    for task, model in product(TASKS, ("mace", "schnet")):
        copy_results(RESULTS / f"{task}-{model}-seed0", folder / f"{task}-{model}")
    extension = RESULTS / "chain_extension-mace-seed0"
    copy_results(extension, folder / "a", model="painn", factor=0.5)
    copy_results(extension, folder / "z", model="so3lr", factor=3, config={"steps": 0, "data_hash": ""})
    copy_results(extension, folder / "f", model="so3lr", factor=0.25, config={"init_from": "runs/so3lr"})
    copy_results(extension, folder / "s", model="so3lr", factor=1.5)
    before = {"task": "pretraining(chain_extension)"}
    copy_results(extension, folder / "p", factor=4, config=before)
    for seed in (0, 1):
        copy_results(extension, folder / f"t{seed}", factor=0.5, seed=seed, config={"init_from": f"runs/p-seed{seed}"})
    for name, factor in (("control_random(chain_extension)", 0.75), ("oracle(chain_extension)", 0.5)):
        copy_results(extension, folder / name, factor=factor, task=name)
    return material(read_sources([folder]), TASKS, published_facts(), TASKS)


@pytest.fixture(scope="module")
def blocks(found):
    return findings(found)


def rows_of(table):
    """Cells of the body of a table in Markdown."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line][2:]


def test_the_matrix_and_the_intervals_are_the_results(blocks):
    mace = read_results(RESULTS / "chain_extension-mace-seed0")
    inside, outside = (1000 * mace[part]["force_mae"]["value"] for part in ("id", "ood"))
    cell = next(row for row in rows_of(blocks["matrix"]) if row[0] == "mace")[1]
    assert cell == f"{inside:.3g} → {outside:.3g} ({outside / inside:.3g})"
    lines = rows_of(blocks["intervals"])
    assert len(lines) == 8 + 6 and f"[{1000 * mace['ood']['force_mae']['low']:.3g}, " in str(lines)


def test_rows_come_by_kind_then_by_name(blocks):
    extension = [row[1] for row in rows_of(blocks["intervals"]) if row[0] == "`chain_extension`"]
    trained, tuned, before = ["mace", "painn", "schnet", "so3lr"], "(fine-tuned)", "(zero-shot)"
    assert extension == [*trained, f"mace {tuned}", f"so3lr {tuned}", f"mace {before}", f"so3lr {before}"]


def test_the_headline_is_true(found, blocks):
    text = blocks["headline"]
    ratios = [row.estimate("ratio").value for row in found.rows if row.kind == "trained"]
    assert "4 potentials" in text
    assert ranges(ratios) in text and f"median {np.median(ratios):.2g}" in text
    assert text.endswith("; 2.0 times that of the same potential trained on the unseen molecules too (mace).**")
    # Hardest first.
    medians = [np.median([r.estimate("ratio").value for r in found.rows if r.kind == "trained" and r.task == task])
               for task in re.findall(r"`([^`]+)`", text)]  # fmt: skip
    assert medians == sorted(medians, reverse=True)


def test_the_cost_is_that_of_the_runs(blocks):
    folder = RESULTS / "fragment_fusion-mace-seed0"
    results = read_results(folder)
    line = next(r for r in rows_of(blocks["cost"]) if r[:2] == ["`fragment_fusion[OH]`", "mace"])
    assert line[2] == f"{results['parameters']:,}" and line[4] == f"{results['config']['steps']:,}"
    events = [json.loads(text) for text in (folder / "log.jsonl").read_text().splitlines()]
    rates = [event["structures_per_second"] for event in events if event["event"] == "train"]
    assert min(rates) < float(line[3]) < max(rates)
    inside, outside = (1000 * results[part]["force_mae"]["value"] for part in ("id", "ood"))
    assert [float(cell) for cell in line[5:]] == pytest.approx([inside, outside, outside / inside], rel=0.005)


def test_the_gap_is_task_less_control_over_oracle(blocks):
    (line,) = rows_of(blocks["gaps"])
    assert line[:3] == ["`chain_extension`", "mace", "1"]
    # (1 − 0.75) / 0.5, and 1 / 0.5
    assert line[-1].startswith("0.500 [") and line[-2] == "2.00" and line[-3].startswith("2.00 [")


def test_a_gap_is_of_seeds_with_their_controls_and_says_how_many(tmp_path):
    run = copy_results(RESULTS / "chain_extension-mace-seed0", tmp_path / "run")
    roles = {"a": "control_random(chain_extension)", "b": "control_random(chain_extension,seed=1)"}
    copy_results(run, tmp_path / "another seed, without controls", factor=7, seed=1)
    for place, (folder, task) in enumerate([*roles.items(), ("c", "oracle(chain_extension)")]):
        copy_results(run, tmp_path / folder, factor=1 + 0.5 * place, task=task)
    (line,) = rows_of(findings(material(read_sources([tmp_path]), TASKS, published_facts(), TASKS))["gaps"])
    assert line[2] == "1 / 2 / 1"
    assert line[-1].startswith("-0.125 [")  # (1 − (1 + 1.5) / 2) / 2
    inside, outside = (read_results(run)[part]["force_mae"]["value"] for part in ("id", "ood"))
    assert float(line[-4]) == pytest.approx(2 * outside / inside, rel=0.005)


def test_the_price_of_each_seed_is_beside_its_own_oracle(tmp_path):
    run = RESULTS / "chain_extension-mace-seed0"
    for seed, factor in ((1, 4), (0, 2)):
        copy_results(run, tmp_path / f"run-{seed}", factor=factor, seed=seed)
        for role, times in (("control_random", 1.5), ("oracle", 5 * seed + 1)):
            task = f"{role}(chain_extension)"
            copy_results(run, tmp_path / f"{role}-{seed}", factor=times, seed=seed, task=task)
    (line,) = rows_of(findings(material(read_sources([tmp_path]), TASKS, published_facts(), TASKS))["gaps"])
    assert line[2] == "2" and line[-2] == "2.00, 0.667"


def test_gaps_are_in_the_order_of_the_tasks_and_wait_for_their_controls(tmp_path):
    for model, task in product(("schnet", "mace"), ("fragment_fusion", "chain_extension")):
        run = copy_results(RESULTS / f"{task}-{model}-seed0", tmp_path / f"{task}-{model}")
        name = read_results(run)["task"]
        for role in ("control_random", "oracle") if model == "mace" else ("control_random",):
            copy_results(run, tmp_path / f"{role}-{task}-{model}", task=f"{role}({name})")
    found = material(read_sources([tmp_path]), TASKS, published_facts(), TASKS)
    lines = [row[:2] for row in rows_of(findings(found)["gaps"])]
    assert lines == [["`chain_extension`", "mace"], ["`fragment_fusion[OH]`", "mace"]]


def test_what_pretraining_buys_is_three_forms_of_one_network(blocks):
    line = next(row for row in rows_of(blocks["pretraining"]) if row[1] == "so3lr")
    outside = [float(re.search(r"→ ([0-9.]+)", cell)[1]) for cell in line[2:]]
    assert outside[0] / outside[2] == pytest.approx(2, rel=0.01) and outside[1] / outside[2] == pytest.approx(
        1 / 6, rel=0.01
    )


def test_pretraining_here_is_a_row_too(found, blocks):
    line = next(row for row in rows_of(blocks["pretraining"]) if row[1] == "mace")
    outside = [float(re.search(r"→ ([0-9.]+)", cell)[1]) for cell in line[2:]]
    assert outside[0] / outside[2] == pytest.approx(4, rel=0.01)
    assert outside[1] / outside[2] == pytest.approx(0.5, rel=0.01)
    (tuned,) = [row for row in found.rows if row.model == "mace (fine-tuned)"]
    assert [source.results["seed"] for source in tuned.sources] == [0, 1]
    # Controls are those of the run that was trained on the task alone.
    assert [controlled.runs[0]["config"]["task"] for controlled, _ in found.gaps] == ["chain_extension"]


def test_total_energies_of_another_level_are_not_shown(blocks):
    lines = {tuple(row[:2]): row for row in rows_of(blocks["energies"])}
    foreign, ours = lines["`chain_extension`", "so3lr (zero-shot)"], lines["`chain_extension`", "mace (zero-shot)"]
    assert foreign[2] == "–" and "→" in foreign[3] and "→" in foreign[4]
    assert "–" not in ours


def test_ranks_compare_known_with_unseen_molecules(blocks):
    (line,) = rows_of(blocks["ranks"])
    assert line[0] == "`chain_extension`" and line[2].startswith("painn, mace")
    assert -1 <= float(line[3]) <= 1 and line[1].split(", ")[-1] == line[2].split(", ")[-1] == "schnet"


def test_breakdowns_are_those_of_the_results(blocks):
    results = read_results(RESULTS / "fragment_duplication-mace-seed0")
    line = next(r for r in rows_of(blocks["contacts"]) if r[:2] == ["`fragment_duplication[COOH]`", "mace"])
    assert float(line[4]) == pytest.approx(
        1000 * results["by_contact"]["ood"]["unseen"]["force_mae"]["value"], rel=0.01
    )
    by = results["by_distance"]["ood"]
    line = next(r for r in rows_of(blocks["distances"]) if r[:2] == ["`fragment_duplication[COOH]`", "mace"])
    assert float(line[2]) == pytest.approx(1000 * by["0"]["force_mae"]["value"], rel=0.01)
    far = [by[k] for k in ("4", "5", "6")]
    mean = sum(b["force_mae"]["value"] * b["n_atoms"] for b in far) / sum(b["n_atoms"] for b in far)
    assert float(line[-1]) == pytest.approx(1000 * mean, rel=0.01)
    line = next(r for r in rows_of(blocks["elements"]) if r[:2] == ["`fragment_duplication[COOH]`", "mace"])
    inside, outside = (results["by_element"][part]["O"]["force_mae"]["value"] for part in ("id", "ood"))
    assert [float(word) for word in re.findall(r"[\d.]+", line[5])] == pytest.approx(
        [1000 * inside, 1000 * outside, outside / inside], rel=0.01
    )
    table = blocks["proximity"]
    heads = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")][3:]
    other = read_results(RESULTS / "fragment_combination-mace-seed0")
    assert heads == sorted({*results["by_ch2"]["ood"], *other["by_ch2"]["ood"]}, key=int)
    line = next(r for r in rows_of(table) if r[:2] == ["`fragment_duplication[COOH]`", "mace"])
    assert heads[0] == "1" and line[3] == "–"  # only glycine has one CH2
    assert float(line[4]) == pytest.approx(1000 * results["by_ch2"]["ood"]["2"]["force_mae"]["value"], rel=0.01)
    line = next(r for r in rows_of(blocks["lengths"]) if r[0] == "mace")
    extension = read_results(RESULTS / "chain_extension-mace-seed0")
    assert float(line[-1]) == pytest.approx(1000 * extension["by_n"]["ood"]["13"]["force_mae"]["value"], rel=0.01)
    heads = blocks["lengths"].splitlines()[2]
    assert "| 6 | 7 * |" in heads


def test_only_the_main_tasks_are_in_the_headline(tmp_path):
    combination = RESULTS / "fragment_combination-mace-seed0"
    copy_results(combination, tmp_path / "a")
    copy_results(combination, tmp_path / "b", task="fragment_transfer[OH,NH2]")
    both = material(read_sources([tmp_path]), [*TASKS, "fragment_transfer"], published_facts(), TASKS)
    assert [row.task for row in both.rows] == ["fragment_combination[NH2,COOH]", "fragment_transfer[OH,NH2]"]
    assert findings(both)["headline"].count("`") == 2
    alone = material(read_sources([tmp_path / "b"]), TASKS, published_facts(), TASKS)
    assert findings(alone)["headline"] == NOTHING


def test_matched_errors_come_from_the_training_curves(found):
    lines = {tuple(row[:2]): row for row in rows_of(training(found))}
    matched = [lines["`fragment_fusion[OH]`", model][-1].split(" at ")[1].split(" ")[0]
               for model in ("mace", "schnet")]  # fmt: skip
    assert matched[0] == matched[1]


def test_a_potential_that_was_below_the_matched_error_from_the_start_leaves_the_others_matched(tmp_path):
    for model in ("mace", "schnet"):
        copy_results(RESULTS / f"fragment_fusion-{model}-seed0", tmp_path / model)
    early = copy_results(RESULTS / "fragment_fusion-mace-seed0", tmp_path / "early", model="gemnet") / "log.jsonl"
    events = [json.loads(line) for line in early.read_text().splitlines()]
    for event in events:
        if "monitor_id_force_mae" in event:
            event["monitor_id_force_mae"] /= 10
    early.write_text("".join(json.dumps(event) + "\n" for event in events))
    lines = {
        row[1]: row for row in rows_of(training(material(read_sources([tmp_path]), TASKS, published_facts(), TASKS)))
    }
    assert lines["gemnet"][-1] == "–"
    assert " at " in lines["mace"][-1] and " at " in lines["schnet"][-1]


def test_without_results_the_blocks_say_so():
    toy = material([Source(RESULTS, make_results())], TASKS, published_facts(), TASKS)
    blocks = findings(toy)
    assert blocks["gaps"] == blocks["pretraining"] == blocks["ranks"] == NOTHING
    assert set(blocks) == set(BLOCKS)


def test_pages_keep_all_but_their_marked_parts(tmp_path):
    text = "# Title\n<!-- compbench: a -->\nold\n<!-- end -->\nkept <!-- compbench: b -->\n<!-- end -->\n"
    filled = fill(text, {"a": "| x |\n", "b": "$& \\1", "c": "unused"})
    assert filled.startswith("# Title\n<!-- compbench: a -->\n\n| x |\n\n<!-- end -->\nkept ")
    assert "$& \\1" in filled and "old" not in filled
    assert fill(filled, {"a": "| x |", "b": "$& \\1"}) == filled
    page = tmp_path / "page.md"
    page.write_text(text)
    assert fill_page(page, {"a": "1", "b": "2"}) and not fill_page(page, {"a": "1", "b": "2"})
    with pytest.raises(RunError, match="'a', which is none of b"):
        fill(text, {"b": ""})
    with pytest.raises(RunError, match="does not end"):
        fill("<!-- compbench: a -->\n", {"a": ""})
    with pytest.raises(DataError, match="there is no file"):
        fill_page(tmp_path / "none.md", {})


def test_parts_of_other_results_have_a_label():
    text = "<!-- compbench: a -->\n<!-- end -->\n<!-- compbench: a of b -->\n<!-- end -->\n"
    assert fill(text, {"a": "1"}).endswith("<!-- compbench: a of b -->\n<!-- end -->\n")
    assert fill(text, {"a": "1"}, "b").startswith("<!-- compbench: a -->\n<!-- end -->\n")
    with pytest.raises(RunError, match="'a', which is none of c"):
        fill(text, {"c": ""}, "b")


def test_tables_become_columns_of_numbers():
    table = "| task | force | energy | n |\n| --- | --- | ---: | ---: |\n"
    table += "| `a[b,c]` | 1.5 → 3.00 (2.00) † | 1 [0.5, 2] | 1,100 |\n| d | – | – | – |\n\nA note."
    assert csv_of(table).splitlines() == [
        "task,force ID,force OOD,force OOD / ID,force mark,energy,energy low,energy high,n",
        '"a[b,c]",1.5,3.00,2.00,†,1,0.5,2,1100', "d,,,,,,,,",
    ]  # fmt: skip
    assert csv_of("a headline") is None and csv_of(f"{table}\n\n{table}") is None


def test_the_command_writes_pages_and_figures(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("<!-- compbench: matrix -->\n<!-- end -->\n")
    results = [RESULTS / f"chain_extension-{model}-seed0" for model in ("mace", "painn", "schnet")]
    for control in ("control_random", "oracle"):
        results.append(copy_results(results[0], tmp_path / control, task=f"{control}(chain_extension)"))
    assert code("findings", *results, "--page", page, "--figures", tmp_path / "figures") == 0
    assert "| mace |" in page.read_text()
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {f"{name}.png" for name in FIGURES}
    assert all(path.stat().st_size > 10_000 for path in (tmp_path / "figures").iterdir())
    tables = tmp_path / "tables"
    assert code("findings", *results, "--page", page, "--tables", tables) == 0
    assert (tables / "matrix.csv").read_text().startswith("potential,chain_extension ID,chain_extension OOD,")
    assert not (tables / "metrics.csv").exists() and not (tables / "headline.csv").exists()
    assert "as it was" in capsys.readouterr().out
    assert code("findings", *results) == 0
    assert "## headline" in capsys.readouterr().out


def test_three_findings_are_those_of_the_results(found):
    text = findings(found)["key"]
    ratios = [row.estimate("ratio").value for row in found.rows if row.kind == "trained"]
    assert f"are {min(ratios):.2g} to {max(ratios):.2g} times".replace(" 1 to", " 1.0 to") in text
    assert text.count("\n- ") == 2 and "Pre-training (mace, so3lr) divides" in text
    rows = rows_of(findings(found)["ratios"])
    assert [row[0] for row in rows] == ["mace", "painn", "schnet", "so3lr"] and rows[1][2:] == ["–"] * 3


def test_the_figure_of_the_tasks_shows_both_sides(found, tmp_path):
    from compbench_jax.report.summary_figure import draw_summary, examples_of
    from compbench_jax.tasks import get_task

    trained, unseen = examples_of(get_task("fragment_fusion"))
    assert [molecule.family for molecule in trained] == ["alcohol", "aldehyde", "hydroxy aldehyde"]
    assert [molecule.name for molecule in unseen] == ["butanoic acid"]
    tasks = [get_task(name) for name in (*TASKS, "fragment_fission")]
    assert draw_summary(found, tasks, tmp_path / "summary.png").stat().st_size > 10_000
    with pytest.raises(RunError, match="no potential trained"):
        draw_summary(found, [get_task("fragment_transfer")], tmp_path / "none.png")


def test_the_gaps_are_drawn(found, tmp_path):
    from compbench_jax.report.findings_figures import draw_gaps

    assert draw_gaps(found, tmp_path / "gaps.png").stat().st_size > 10_000


def test_the_ratios_are_drawn_where_they_are(found, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(findings_figures, "save_figure", lambda figure, path: kept.append(figure) or path)
    rows = [row for row in found.rows if row.kind == "trained"]
    findings_figures.draw_ratios(found, {row.model: k for k, row in enumerate(rows)}, tmp_path / "ratios.png")
    (axes,) = kept[0].axes
    points = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    ends = [segment[:, 0] for bars in axes.collections for segment in bars.get_segments()]
    estimates = [row.estimate("ratio") for row in rows]
    unseen = [gap.unseen.estimate("force_mae").value for _, gap in found.gaps]
    assert unseen and points == pytest.approx([*(estimate.value for estimate in estimates), *unseen])
    np.testing.assert_allclose(ends, [(estimate.low, estimate.high) for estimate in estimates])
    names = [text.get_text() for text in kept[0].legends[0].get_texts()]
    assert names == ["mace", "painn", "schnet", "so3lr", "mace: task / oracle"]


def test_twenty_potentials_are_told_apart():
    rows = [SimpleNamespace(model=f"m{k}") for k in range(20)]
    styles = {row.model: k for k, row in enumerate(rows)}
    found = [style(row, styles) for row in rows]
    assert len({(item["color"], item["marker"]) for item in found}) == 20
