"""What the README and the pages of results show is what the committed results say."""

import json
import re
import statistics
from functools import lru_cache
from pathlib import Path

import pytest

from compbench_jax.evaluation.derived import read_results
from compbench_jax.report.drawing import MEV
from compbench_jax.report.findings import DEFINITIONS, findings
from compbench_jax.report.findings_material import material
from compbench_jax.report.leaderboard import leaderboard, read_sources
from compbench_jax.report.pages import csv_of, fill
from compbench_jax.report.site_published import published_facts
from compbench_jax.report.table import significant, with_interval
from compbench_jax.store.store import open_store
from compbench_jax.tasks import ALL_TASKS, MAIN_TASKS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results"
PAGES = {"README.md": "cpu", "docs/findings.md": "cpu", "docs/results.md": "cpu"}
OTHERS = {"docs/findings.md": ["contacts", "accurate", "accurate_chain", "ensemble"]}
"""Labels of the parts of pages that show other results."""
MOST_WORDS = {"README.md": 650, "docs/findings.md": 1500}
DATA = {"mini": "mini", "contacts": "pairs", "accurate": "acids"}
DATA |= dict.fromkeys(("cpu", "accurate_chain", "ensemble"), "standard")


@lru_cache
def blocks(suite):
    return findings(material(read_sources([RESULTS / suite]), list(ALL_TASKS), published_facts(), MAIN_TASKS))


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_committed_results(page):
    text = (ROOT / page).read_text()
    assert "<!-- compbench: " in text
    assert fill(text, blocks(PAGES[page])) == text, "run `compbench findings` as `make results` does"
    for suite in OTHERS.get(page, []):
        assert f" of {suite} -->" in text and fill(text, blocks(suite), suite) == text


@pytest.mark.parametrize("page", MOST_WORDS)
def test_pages_are_short(page):
    words = [word for word in (ROOT / page).read_text().split() if re.search(r"\w", word)]  # not | → <!-- ---:
    assert len(words) <= MOST_WORDS[page]


def test_tables_as_files_are_those_of_the_committed_results():
    tables = {path.stem: path.read_text() for path in (ROOT / "docs" / "findings").glob("*.csv")}
    found = {name: csv_of(text) for name, text in blocks("cpu").items() if name not in DEFINITIONS}
    assert tables == {name: text for name, text in found.items() if text is not None}
    assert (
        "fragment_fission[COOH],nequip,1,8.96,7.99,10.1,105,91.2,121,11.7,9.94,13.9" in tables["intervals"].splitlines()
    )


def test_the_example_in_python_is_one_that_runs():
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = {line for path in (ROOT / "examples").glob("*.py") for line in path.read_text().splitlines()}
    assert len(shown.splitlines()) == 8
    assert all(line.replace("steps=2000", "steps=steps") in lines for line in shown.splitlines()[:6])


@pytest.mark.parametrize("name", ["findings"])
def test_figures_of_the_findings_are_there(name):
    shown = re.findall(rf"!\[[^]]*\]\({name}/([a-z_/]+\.png)\)", (ROOT / "docs" / f"{name}.md").read_text())
    drawn = ROOT / "docs" / name
    assert shown and all((drawn / figure).stat().st_size > 10_000 for figure in shown)


@pytest.mark.parametrize("suite", DATA)
def test_results_are_of_the_committed_data(suite):
    data = open_store(ROOT / "data" / DATA[suite]).hash
    found = list((RESULTS / suite).glob("*/results.json"))
    assert found
    for path in found:
        results = read_results(path)
        assert results["data"] == data
        # A cell is called after its task (`oracle(TASK,seed=1)` is oracle-TASK-seed=1) and its potential.
        task = re.sub(r"[(,]", "-", re.sub(r"\[.*\]", "", results["task"])).replace(")", "")
        assert path.parent.name.startswith(f"{task}-{results['model'].removesuffix(' + classical prior')}")


def test_results_name_no_folders_of_a_machine():
    for path in (*RESULTS.rglob("*.json"), *(ROOT / "leaderboard").rglob("*.json")):
        assert not re.search(r'"(/|~|[A-Z]:)[^"]*/', path.read_text()), path


@pytest.mark.parametrize("task", ["chain_extension"])
def test_the_trial_is_what_the_documentation_says(task):
    (row,) = leaderboard(read_sources([RESULTS / "trial" / task]))
    shown = " → ".join(with_interval(row.estimate(part), MEV) for part in ("id", "ood"))
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    assert f"{shown} ({significant(row.estimate('ratio').value)})" in text


def test_the_angles_are_what_the_documentation_says():
    (line,) = [line for line in blocks("cpu")["directions"].splitlines() if "| `fragment_fusion[OH]` | mace |" in line]
    seeds = [read_results(RESULTS / "cpu" / f"fragment_fusion-mace-seed{seed}") for seed in (0, 1)]
    cosine = statistics.fmean(results["ood"]["force_cosine"]["value"] for results in seeds)
    inside, outside = re.findall(r"([\d.]+) → ([\d.]+)", line)[1]
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    assert f"is {cosine:.3f}, an angle of {outside} degrees, against {inside} on known molecules" in text


def test_the_controls_are_what_the_documentation_says():
    found = material(read_sources([RESULTS / "cpu"]), list(ALL_TASKS), published_facts(), MAIN_TASKS)
    gaps = {item.task.split("[")[0]: gap for item, gap in found.gaps if item.runs[0]["model"] == "mace"}
    of_oracle = {task: gap.unseen.estimate("force_mae").value for task, gap in gaps.items()}
    fusion, (least, *_, most) = of_oracle.pop("fragment_fusion"), sorted(of_oracle.values())
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    assert f"is {significant(fusion)} times that of an oracle, trained on the OOD molecules too" in text
    assert len(gaps) == 4 and f"{significant(least)} to {significant(most)} times ([gaps.csv]" in text
    duplication = next(line for line in blocks("cpu")["gaps"].splitlines() if "duplication" in line and "mace" in line)
    assert f"oracle's error on di-acids is {duplication.split(' | ')[6]} times the ID error" in text

    values = {
        task: [getattr(gap, part).estimate("force_mae").value for part in ("task", "control", "oracle")]
        for task, gap in gaps.items()
    }
    task, control, _ = values.pop("fragment_combination")
    assert control > task and all(0.9 < control / oracle < 1.1 for _, control, oracle in values.values())
    results = json.loads((RESULTS / "cpu/control_random-fragment_combination-mace-seed0/results.json").read_text())
    shortest = {"ethanedioic acid", "propanedioic acid", "butanedioic acid"}
    assert shortest <= {molecule["name"] for molecule in results["ood"]["molecules"]}


def test_hints_do_what_the_documentation_says():
    rows = leaderboard(read_sources([RESULTS / "cpu"]))
    ratios = {(row.task.split("[")[0], row.model): row.estimate("ratio").value for row in rows}
    for model in ("mace", "painn"):
        assert round(ratios["fragment_fusion_hints", model]) == 4 < 0.6 * ratios["fragment_fusion", model]
        assert ratios["chain_extension_hints", model] < 1.1
    text = " ".join((ROOT / "docs" / "findings.md").read_text().split())
    assert "amines and amides bring the ratios of MACE and PaiNN to 4." in text


def test_pretraining_does_what_the_documentation_says():
    rows = {(row.task.split("[")[0], row.label): row for row in leaderboard(read_sources([RESULTS / "cpu"]))}
    ratios = []
    for task in ("fragment_fusion", "fragment_fission"):
        before, after = (rows[task, label] for label in ("so3lr", "so3lr (fine-tuned)"))
        assert all(1.9 < before.estimate(part).value / after.estimate(part).value < 5 for part in ("id", "ood"))
        assert round(after.estimate("ratio").value) == 4
        ratios.append(significant(before.estimate("ratio").value))
    text = (ROOT / "docs" / "findings.md").read_text()
    assert f"From random parameters they are {ratios[0]} and {ratios[1]}," in text


def test_what_longer_training_does_is_what_the_documentation_says():
    def errors(grid, task, potential):
        results = read_results(RESULTS / grid / f"{task}-{potential}-seed0")
        return [results[part]["force_mae"]["value"] for part in ("id", "ood")]

    names = ("mace", "mace-prior", "nequip", "painn", "so3lr-fine-tuned")
    longer, shorter = ({name: errors(grid, "fragment_fission", name) for name in names} for grid in ("accurate", "cpu"))
    id_ratio, ood_ratio = ({name: longer[name][k] / shorter[name][k] for name in names} for k in (0, 1))
    assert all(0.4 < id_ratio[name] < 0.6 for name in names[:4]) and 0.6 < id_ratio["so3lr-fine-tuned"] < 0.75
    assert min(ood_ratio.values()) > 0.63 and round(ood_ratio["painn"]) == 6
    assert min(names, key=lambda name: longer[name][1]) == "so3lr-fine-tuned"
    (published,) = [table for table in published_facts()["tables"] if "fragment_duplication" in table["names"]]
    at = published["columns"].index("force_mae_ood")
    ratio = published["rows"]["PaiNN"][at] / errors("accurate", "fragment_duplication", "painn")[1]
    assert round(ratio) == 4


def test_an_ensemble_does_what_the_documentation_says():
    block = read_results(RESULTS / "ensemble" / "fragment_fusion-mace-seed0")["members"]["uncertainty"]["forces"]
    inside, outside = block["id"], block["ood"]
    assert outside["spearman"]["value"] > inside["spearman"]["value"] > 0.5
    assert min(part["error_over_spread"]["value"] for part in (inside, outside)) > 1.5


def test_the_example_of_dynamics_is_what_was_measured():
    file = RESULTS / "dynamics" / "chain_extension-mace-seed0" / "dynamics.json"
    summary = json.loads(file.read_text())["summary"]
    text = (ROOT / "docs" / "dynamics.md").read_text()
    for head, property, name, digits in (
        ("NVE drift", "nve", "drift", 2),
        ("torsion barrier error", "torsion", "barrier_error", 3),
        ("stretch barrier error", "stretch", "barrier_error", 3),
        ("torsion distribution", "nve", "torsion_distance", 2),
        ("frequencies, MAE", "modes", "frequency_mae", 2),
    ):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {head}")]
        shown = [float(cell) for cell in row.strip("| ").split("|")[1:]]
        measured = [summary[property][name][part]["value"] for part in ("id", "ood")]
        assert shown == pytest.approx(measured, rel=0.6 * 10 ** (1 - digits))


def anchors_of(text):
    """The anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_every_relative_link_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data/README.md", *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            if not target.startswith("https://"):
                path = page.parent / target if target else page
                assert path.exists(), f"{page.name}: {target}"
                assert not anchor or anchor in anchors_of(path.read_text()), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("model", ["schnet", "painn", "nequip"])
def test_another_version_of_jax_gives_what_the_documentation_says(model):
    """The same cells under two versions: each value lies within the interval of the first."""
    cell = f"fragment_fusion-{model}-seed0"
    committed, again = read_results(RESULTS / "mini" / cell), read_results(RESULTS / "jax-0.10.1" / cell)
    assert (committed["versions"]["jax"], again["versions"]["jax"]) == ("0.10.2", "0.10.1")
    assert committed["config"]["steps"] == again["config"]["steps"]
    for part in ("id", "ood", "ratio"):
        block = committed[part]["force_mae"]
        assert block["low"] < again[part]["force_mae"]["value"] < block["high"]
