"""The documentation builds as a site without a warning, with every module in its reference."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_every_room_has_a_page_of_reference():
    rooms = {path.parent.name for path in (ROOT / "compbench_jax").glob("*/__init__.py")} - {"cli"}
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert pages == (rooms - {"splits"}) | {"tasks"}
    nav = (ROOT / "mkdocs.yml").read_text()
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "reference").glob("*.md")]:
        assert str(page.relative_to(ROOT / "docs")) in nav, f"{page.name} is not in mkdocs.yml"


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    reason = "needs the extra docs: pip install -e '.[docs]'"
    for module in ("mkdocs", "material", "mkdocstrings", "mkdocs_jupyter"):
        pytest.importorskip(module, reason=reason)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "site" / "reference" / "models.html").read_text()
    assert "MACEConfig" in text and "correlation" in text
