"""Every command in README and docs parses as it stands; the page of the commands lists all of them."""

import ast
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import tyro

from compbench_jax.cli.main import COMMANDS, MODULES, commands_in_markdown
from compbench_jax.report.pages import fill

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / name for name in ("README.md", "leaderboard/README.md", "data/README.md")),
]
CONFIG = ROOT / "results" / "mini" / "chain_extension-mace-seed0" / "config.json"
PROGRAMS = {"compbench-train": ["train"], "compbench-evaluate": ["evaluate"]}
SCRIPTS = {"train.py": ["train"], "evaluate.py": ["evaluate"]}


COMMAND = re.compile(r"(?:^|[\s\"])((?:compbench(?:-train|-evaluate)?|python (?:train|evaluate)\.py)\s+[a-z-].*)$")


def commands_of(text):
    """The words of each command of this project in the shell blocks of a page, without the program's name.

    Also of those within another one: ``sbatch --wrap "compbench …"``.
    """
    found = []
    for block in re.findall(r"```(?:ba)?sh\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|&|;", line.partition(" # ")[0]):
                match = COMMAND.search(part)
                if match is None or "docker build" in part:
                    continue
                command = match[1].rstrip()
                program, *words = shlex.split(command.removesuffix('"') if command.count('"') % 2 else command)
                first = SCRIPTS[words.pop(0)] if program == "python" else PROGRAMS.get(program, [])
                found.append([*first, *words])
    return [words for words in found if words[0] not in ("--help", "--version")]


def parse(name, *words):
    """Parse a command line as ``compbench`` does, and do nothing.

    Raises:
        SystemExit: it does not parse.
    """
    words = [str(CONFIG) if before == "--config" else word for before, word in zip(("", *words), words, strict=False)]
    if name == "train":
        return importlib.import_module("compbench_jax.training.arguments").parse(words)
    if name == "evaluate":
        return importlib.import_module("compbench_jax.evaluation.arguments").parse(words)
    module = importlib.import_module(f"compbench_jax.cli.{MODULES.get(name, name)}")
    return module.parse(words) if hasattr(module, "parse") else tyro.cli(module.Arguments, args=words)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_parses(page, monkeypatch):
    monkeypatch.chdir(ROOT)  # where the files are that they name
    for words in commands_of(page.read_text()):
        parse(*words)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_other_blocks_are_python_and_json(page):
    for language, block in re.findall(r"```(python|json)\n(.*?)```", page.read_text(), re.DOTALL):
        assert (ast.parse if language == "python" else json.loads)(block)


def test_commands_are_found_wherever_they_stand():
    text = '```bash\nsbatch --wrap "compbench verify DIR --sample 0"\n'
    text += "srun python train.py \\\n    model:mace & child=$!\n```"
    assert commands_of(text) == [["verify", "DIR", "--sample", "0"], ["train", "model:mace"]]
    with pytest.raises(SystemExit):
        parse("verify", "DIR", "--no-such-option")
    assert sum(len(commands_of(page.read_text())) for page in PAGES) > 90


def test_the_page_of_the_commands_lists_all():
    text = (ROOT / "docs" / "commands.md").read_text()
    assert fill(text, {"commands": commands_in_markdown()}) == text, "run `compbench findings` as `make results` does"
    assert all(f"- `{name}`: " in text for name in COMMANDS)


def test_every_command_of_the_program_is_explained_somewhere():
    shown = {words[0] for page in PAGES for words in commands_of(page.read_text())}
    texts = "\n".join(page.read_text() for page in PAGES if page.name != "commands.md")
    assert not [name for name in COMMANDS if name not in shown and f"compbench {name}" not in texts]
