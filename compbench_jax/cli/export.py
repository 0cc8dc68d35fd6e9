"""``compbench export``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Arguments:
    """Write all frames of a store to one file that other programs read."""

    data: tyro.conf.Positional[Path]
    """Folder of the store."""

    out: Path
    """File to write."""

    format: Literal["extxyz"] = "extxyz"
    """Extended XYZ: energies in eV, forces in eV/Å, molecule and trajectory in the comment line."""


def run(arguments: Arguments) -> None:
    """Export the store."""
    from compbench_jax.interchange.export import export_extxyz
    from compbench_jax.store.store import open_store

    count = export_extxyz(open_store(arguments.data, checksums=True), arguments.out)
    print(f"{arguments.out}: {count} frames")
