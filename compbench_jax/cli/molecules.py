"""``compbench molecules``: the registry as a table or as JSON."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from compbench_jax.errors import CompBenchError

if TYPE_CHECKING:
    from compbench_jax.molecules.molecule import Molecule

_PIPE_WIDTH = 160
"""Columns of the table where no terminal limits it: no cell is cut."""


@dataclass(frozen=True)
class Arguments:
    """List the molecules of the registry: name, SMILES, InChIKey, formula, family, n (carbons) and ends."""

    registry: Literal["core", "extended"] = "core"
    """core: the benchmark's ten families; extended: with the other mixed pairs of fragments."""
    family: str | None = None
    """Only this family, e.g. alcohol or "amino acid"."""
    json: bool = False
    """Print a JSON list instead of a table."""


def run(arguments: Arguments) -> None:
    """Print the registry.

    Raises:
        CompBenchError: the registry has no such family, or RDKit is not installed.
    """
    from compbench_jax.molecules.registry import core_registry, extended_registry

    molecules = core_registry() if arguments.registry == "core" else extended_registry()
    if arguments.family is not None:
        families = dict.fromkeys(molecule.family for molecule in molecules)
        molecules = tuple(molecule for molecule in molecules if molecule.family == arguments.family)
        if not molecules:
            raise CompBenchError(
                f"no family {arguments.family!r} in the {arguments.registry} registry: "
                f"choose one of {', '.join(map(str, families))}"
            )
    if arguments.json:
        print(json.dumps([asdict(molecule) for molecule in molecules], indent=2))
    else:
        _print_table(molecules, f"{arguments.registry} registry: {len(molecules)} molecules")


def _print_table(molecules: "tuple[Molecule, ...]", title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    whole = ("InChIKey", "formula", "n")  # long names and SMILES are folded first where columns are scarce
    for column in ("name", "SMILES", "InChIKey", "formula", "family", "n", "ends"):
        table.add_column(column, justify="right" if column == "n" else "left", overflow="fold", no_wrap=column in whole)
    for molecule in molecules:
        ends = " / ".join(molecule.ends or ())
        cells = (molecule.name, molecule.smiles, molecule.inchikey, molecule.formula, molecule.family or "")
        table.add_row(*cells, str(molecule.n), ends)
    console.print(table, markup=False, highlight=False)
