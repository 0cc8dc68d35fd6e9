"""What the README and docs/findings.md show is what the committed results say."""

import re
from pathlib import Path

import pytest

from compbench_jax.evaluation.results import read_results
from compbench_jax.report.drawing import MEV
from compbench_jax.report.findings import findings
from compbench_jax.report.findings_material import material
from compbench_jax.report.leaderboard import leaderboard, read_sources
from compbench_jax.report.pages import fill
from compbench_jax.report.site_published import published_facts
from compbench_jax.report.table import significant, with_interval
from compbench_jax.store.store import open_store
from compbench_jax.tasks import SAME_SPLIT, SUBTASKS, TASKS

ROOT = Path(__file__).parent.parent
MINI, FOUNDATION = ROOT / "results" / "mini", ROOT / "results" / "foundation"


@pytest.fixture(scope="module")
def blocks():
    return findings(material(read_sources([MINI, FOUNDATION]), [*TASKS, *SUBTASKS], published_facts(), SAME_SPLIT))


@pytest.mark.parametrize("page", ["README.md", "docs/findings.md"])
def test_tables_are_those_of_the_committed_results(page, blocks):
    text = (ROOT / page).read_text()
    assert "compbench: headline" in text
    assert fill(text, blocks) == text, "run compbench findings as docs/findings.md says"


def test_figures_of_the_findings_are_there():
    shown = re.findall(r"!\[[^]]*\]\(findings/([a-z]+\.png)\)", (ROOT / "docs" / "findings.md").read_text())
    assert shown and all((ROOT / "docs" / "findings" / name).stat().st_size > 10_000 for name in shown)


def test_results_are_of_the_committed_data():
    data = open_store(ROOT / "data" / "mini").hash
    found = [*MINI.glob("*/results.json"), *FOUNDATION.glob("*/results.json")]
    assert len(found) >= 8
    for path in found:
        results = read_results(path)
        assert results["data"] == data
        assert path.parent.name.startswith(f"{results['task'].split('[')[0]}-{results['model']}")


def test_foundation_results_against_dft_are_of_the_committed_labels():
    data = open_store(ROOT / "data" / "pbe_mini").hash
    found = [read_results(path) for path in FOUNDATION.glob("pbe_mini/*/results.json")]
    assert len(found) == 8 and all(results["data"] == data for results in found)


@pytest.mark.parametrize("task", ["chain_extension", "fragment_duplication"])
def test_the_trial_is_what_the_documentation_says(task):
    (row,) = leaderboard(read_sources([ROOT / "results" / "trial" / task]))
    shown = " → ".join(with_interval(row.estimate(part), MEV) for part in ("id", "ood"))
    assert f"{shown} ({significant(row.estimate('ratio').value)})" in (ROOT / "docs" / "results.md").read_text()


def test_every_relative_link_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"
