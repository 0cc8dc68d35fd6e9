"""The foundation potentials as text."""

from pathlib import Path

from compbench_jax.foundation.install import foundation_folder, is_installed
from compbench_jax.foundation.registry import FOUNDATIONS, Foundation


def state(item: Foundation, folder: Path | None = None) -> str:
    """How to install a potential, or where it is."""
    where = foundation_folder(item.name, folder)
    how = f"installed in {where}" if is_installed(where, item) else f"compbench foundation install {item.name}"
    return f"{how}; the first use downloads {item.fetches}" if item.fetches else how


def foundation_lines(folder: Path | None = None) -> list[str]:
    """All of them, one block of lines each."""
    lines = []
    for item in FOUNDATIONS.values():
        rows = {
            "level": item.level,
            "elements": item.elements,
            "trained on": item.trained_on,
            "energies": item.energies,
            "charge": item.charge,
            "units": item.units,
            "licence": item.licence,
            "citation": item.citation,
            "install": state(item, folder),
        }
        lines += [f"{item.name}: {item.summary}", *(f"  {key + ':':<12}{value}" for key, value in rows.items()), ""]
    return lines[:-1]
