"""``compbench weights``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Arguments:
    """Trained potentials that come with the package: list them, unpack one to a run folder.

    compbench weights list                                       names, tasks and errors
    compbench weights get mace-fragment_fusion --out runs/fusion a run folder, for evaluate, train --init-from, export

    In Python: cb.load_potential("mace-fragment_fusion"), cb.Calculator("mace-fragment_fusion").
    """

    action: tyro.conf.Positional[Literal["list", "get", "pack"]]
    """list, get NAME, or pack NAME: keep the best parameters of the run --from under a name."""

    name: tyro.conf.Positional[str] = ""
    """Name of the weights."""

    out: Path | None = None
    """Run folder to unpack to. Without it: runs/NAME. For pack: folder of the weights."""

    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Evaluated run to pack."""


def run(arguments: Arguments) -> None:
    """List, unpack or pack."""
    from compbench_jax.deploy import weights
    from compbench_jax.errors import CompBenchError

    if arguments.action == "list":
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table("weights", box=box.SIMPLE_HEAD, show_edge=False)
        table.columns[0].no_wrap = True
        table.add_column("trained on", overflow="fold")
        for heading in ("ID", "OOD", "OOD / ID"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name in weights.names():
            card = weights.read_card(name)
            error = card["force_mae"]
            figures = (f"{1e3 * error['id']:.3g}", f"{1e3 * error['ood']:.3g}", f"{error['ratio']:.2f}")
            table.add_row(name, card["task"].replace("[", "\\["), *figures)
        Console(highlight=False).print(table)
        print("Force MAE in meV/Å. compbench weights get NAME writes a run folder.")
        return
    if not arguments.name:
        raise CompBenchError(f"compbench weights {arguments.action} takes a NAME: `compbench weights list` has them")
    if arguments.action == "get":
        folder = weights.unpack(arguments.name, arguments.out or Path("runs") / arguments.name)
        print(f"a run folder: python evaluate.py --run {folder} --data DIR")
        return
    if arguments.source is None:
        raise CompBenchError("compbench weights pack takes an evaluated run: give --from RUN")
    print(weights.pack(arguments.source, arguments.name, arguments.out or weights.FOLDER))
