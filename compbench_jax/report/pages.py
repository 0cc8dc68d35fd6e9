"""Pages in Markdown with parts that are written from results: ``<!-- compbench: NAME -->`` … ``<!-- end -->``.

A part of other results than the page's own has a label: ``<!-- compbench: NAME of LABEL -->``.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from compbench_jax.errors import RunError
from compbench_jax.files import read_text, save

BLOCK = re.compile(r"(<!-- compbench: ([\w-]+)(?: of ([\w-]+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
OPENING = re.compile(r"<!-- compbench:")


PAIR = (re.compile(r"(\S+) → (\S+)(?: \((\S+)\))?(?: (†))?"), ("ID", "OOD", "OOD / ID", "mark"))
INTERVAL = (re.compile(r"([\d.eE+-]+)(?: \[([^,]+), ([^]]+)\])?"), ("", "low", "high"))
"""What cells of tables hold, and the columns of a CSV file for it."""


def fill(text: str, blocks: Mapping[str, str], of: str = "") -> str:
    """The text with the contents of its marked parts replaced.

    Args:
        text: of a page.
        blocks: contents by name; those that the page does not mark are left out.
        of: label of the parts to replace; parts of other labels stay as they are.

    Raises:
        RunError: a part that nothing is known to go into, or one that does not end.
    """
    found = BLOCK.findall(text)
    if len(found) != len(OPENING.findall(text)):
        raise RunError("a part of the page begins with <!-- compbench: NAME --> and does not end: add <!-- end -->")
    unknown = [name for _, name, label, _, _ in found if label == of and name not in blocks]
    if unknown:
        raise RunError(f"the page has a part {unknown[0]!r}, which is none of {', '.join(blocks)}")
    return BLOCK.sub(
        lambda part: f"{part[1]}\n{blocks[part[2]].strip()}\n\n{part[5]}" if (part[3] or "") == of else part[0], text
    )


def fill_page(path: Path, blocks: Mapping[str, str], of: str = "") -> bool:
    """Rewrite the marked parts of a page in place.

    Returns:
        whether anything changed.

    Raises:
        DataError: the page cannot be read.
        RunError: as :func:`fill`, or it cannot be written.
    """
    before = read_text(path)
    after = fill(before, blocks, of)
    if after != before:
        save(path, after.encode())
    return after != before


def csv_of(block: str) -> str | None:
    """The table of a block as CSV: a pair "ID → OOD (ratio)" and an interval "value [low, high]" are three columns.

    Returns:
        the text of a file; None of a block with no table, or with several.
    """
    lines = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|")]
    if sum(cells[0] == "---" for cells in lines) != 1:
        return None
    heads, _, *body = lines
    columns = list(zip(*body, strict=True))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = [list(_columns(head, column)) for head, column in zip(heads, columns, strict=True)]
    writer.writerows(zip(*(column for part in parts for column in part), strict=True))
    return text.getvalue()


def _columns(head: str, cells: Sequence[str]) -> Iterator[list[str]]:
    """The columns, heading first, that a column of a table is in CSV; a dash is an empty cell."""
    head, cells = re.sub(r",? ID → OOD|`", "", head), [cell.strip("`") for cell in cells]
    cells = ["" if cell == "–" else re.sub(r"(?<=\d),(?=\d{3}\b)", "", cell) for cell in cells]
    for (pattern, names), mark in ((PAIR, "→"), (INTERVAL, "[")):
        if not any(mark in cell for cell in cells):
            continue
        found = [pattern.fullmatch(cell) for cell in cells]
        if all(match or not cell for match, cell in zip(found, cells, strict=True)):
            for k, name in enumerate(names, 1):
                column = [(match[k] or "") if match else "" for match in found]
                if any(column):
                    yield [f"{head} {name}".strip(), *("" if cell == "–" else cell for cell in column)]
            return
    yield [head, *cells]
