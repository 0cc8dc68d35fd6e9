"""What the README shows is what the committed results say."""

from pathlib import Path

from compbench_jax.evaluation.results import read_results
from compbench_jax.report.table import markdown_table

ROOT = Path(__file__).parent.parent
MINI = ROOT / "results" / "mini"


def test_results_table_is_that_of_the_committed_results():
    results = [read_results(path) for path in sorted(MINI.glob("*/results.json"))]
    assert len(results) == 8
    table = markdown_table(results)
    assert (MINI / "table.md").read_text() == table
    assert table.strip() in (ROOT / "README.md").read_text()


def test_results_are_of_the_committed_data():
    from compbench_jax.store.store import open_store

    data = open_store(ROOT / "data" / "mini").hash
    for path in MINI.glob("*/results.json"):
        results = read_results(path)
        assert results["data"] == data
        assert path.parent.name == f"{results['task'].split('[')[0]}-{results['model']}"


def test_every_relative_link_leads_somewhere():
    import re

    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"
