"""Pages in Markdown with parts that are written from results: ``<!-- compbench: NAME -->`` … ``<!-- end -->``."""

import re
from collections.abc import Mapping
from pathlib import Path

from compbench_jax.errors import RunError
from compbench_jax.evaluation.blocks import save
from compbench_jax.files import read_text

BLOCK = re.compile(r"(<!-- compbench: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
OPENING = re.compile(r"<!-- compbench:")


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """The text with the contents of its marked parts replaced.

    Args:
        text: of a page.
        blocks: contents by name; those that the page does not mark are left out.

    Raises:
        RunError: a part that nothing is known to go into, or one that does not end.
    """
    found = BLOCK.findall(text)
    if len(found) != len(OPENING.findall(text)):
        raise RunError("a part of the page begins with <!-- compbench: NAME --> and does not end: add <!-- end -->")
    unknown = [name for _, name, _, _ in found if name not in blocks]
    if unknown:
        raise RunError(f"the page has a part {unknown[0]!r}, which is none of {', '.join(blocks)}")
    return BLOCK.sub(lambda part: f"{part[1]}\n{blocks[part[2]].strip()}\n\n{part[4]}", text)


def fill_page(path: Path, blocks: Mapping[str, str]) -> bool:
    """Rewrite the marked parts of a page in place.

    Returns:
        whether anything changed.

    Raises:
        DataError: the page cannot be read.
        RunError: as :func:`fill`, or it cannot be written.
    """
    before = read_text(path)
    after = fill(before, blocks)
    if after != before:
        save(path, after.encode())
    return after != before
