"""Hook of mkdocs: the page of the commands gets the help text of each."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PAGE = "commands.md"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with ``compbench COMMAND --help`` of every command at its end; other pages as they are."""
    if page.file.src_uri != PAGE:
        return markdown
    from compbench_jax.cli.main import COMMANDS

    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(help_text, COMMANDS)
    return "\n\n".join(
        [markdown, *(f"## {name}\n\n```text\n{text}\n```" for name, text in zip(COMMANDS, texts, strict=True))]
    )


def help_text(name: str) -> str:
    """What ``compbench NAME --help`` prints, 100 columns wide.

    Raises:
        CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "compbench_jax.cli.main", name, "--help"]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
