"""The level of theory that a potential's dynamics are compared with."""

import os
from pathlib import Path

from compbench_jax.labelling.levels import Level, get_level, level_described_by
from compbench_jax.store.store import FrameStore

NONE = "none"
CHEAP = ("tblite",)
"""Programs that a trajectory of some picoseconds takes minutes with."""


def reference_level(name: str | None, store: FrameStore) -> tuple[Level | None, str]:
    """The level that is asked for, by default that of the labels, and what there is to say about it.

    Args:
        name: as of ``compbench relabel``; ``"none"`` for no reference, None for the labels' level where it is known
            and cheap.
        store: with the labels.

    Raises:
        CompBenchError: no such level.
    """
    if name == NONE:
        return None, ""
    labels = store.manifest.level
    in_words = f"{labels.get('method')}, {labels.get('program')}"
    if name is not None:
        level = get_level(name)
        described = level.describe()
        same = all(described.get(key) == labels.get(key) for key in ("method", "basis", "program"))
        if same:
            return level, ""
        return (
            level,
            f"the reference is {level.method}, the labels are {in_words}: errors hold the difference of the two",
        )
    found = level_described_by(labels)
    if found is None:
        return (
            None,
            f"the labels' level ({in_words}) is not one of ours: there is no reference, unless --level names one",
        )
    if found.program not in CHEAP:
        return (
            None,
            f"a reference at {in_words} takes hours: there is none, unless you insist with --level {found.name}",
        )
    return found, ""


def reference_cache() -> Path:
    """Folder of the user's cache that holds the reference's results."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "compbench_jax" / "reference"
