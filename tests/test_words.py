"""Pages and help texts use the words of the field."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from compbench_jax.cli.main import COMMANDS, MODULES

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "leaderboard/README.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
)
HELP = {"train": "training.arguments", "evaluate": "evaluation.arguments", "tune": "training.tune_arguments"}
"""Modules of the arguments of commands that have them elsewhere."""

UNITS = "second|atom|molecule|batch|core|device|dispatch|epoch|frame|line|property|segment|step|structure"
AVOIDED = re.compile(
    r"\b(beside|anew|in vain|cannot be told|told apart|strangers?|deals?|dealt|novelty|hardness|trios?"
    r"|where the error lives|the price of|what each took|size extensivity|lanes?|mend(s|ed)?"
    rf"|(m?eV|GB|MB|Frames|frames|Minutes|minutes|members|ms|one|structures|Structures|steps|Steps) an? ({UNITS}))\b",
    re.IGNORECASE,
)
"""Words that the project replaced (*per second* for "a second", *random split* for "deal", …)."""


def found(text):
    """What of ``AVOIDED`` is in a text, code left out."""
    prose = re.sub(r"```.*?```|`[^`]*`", " ", text, flags=re.DOTALL)
    return [match[0] for match in AVOIDED.finditer(prose)]


def help_texts(name):
    """Docstrings of classes and texts under fields in the module of a command, without importing it."""
    module = f"compbench_jax.{HELP.get(name, f'cli.{MODULES.get(name, name)}')}"
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text())
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [
        node.value.value
        for item in classes
        for node in item.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_pages_use_the_words_of_the_field(page):
    assert found((ROOT / page).read_text()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_uses_the_words_of_the_field(name):
    texts = help_texts(name)
    assert len(texts) > 1
    assert found("\n".join([COMMANDS[name], *texts])) == []


@pytest.mark.parametrize("folder", ["tasks", "compbench_jax/models", "compbench_jax/metrics"])
def test_tasks_potentials_and_metrics_use_the_words_of_the_field(folder):
    for path in [*(ROOT / folder).glob("*.py"), ROOT / "compbench_jax" / "training" / "settings.py"]:
        strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert (path.name, found("\n".join(text for text in strings if isinstance(text, str)))) == (path.name, [])


def test_the_report_uses_the_words_of_the_field():
    for path in (ROOT / "compbench_jax" / "report" / "templates").glob("*.j2"):
        assert (path.name, found(path.read_text())) == (path.name, [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12 structures a second beside the others", ["structures a second", "beside"]),
        ("5 meV an atom", ["meV an atom"]),
        ("Dealt anew, by `first_novelty` and `beside`", ["Dealt", "anew"]),
        ("structures per second; gives an atom a label", []),
    ],
)
def test_words_are_found(text, words):
    assert found(text) == words
