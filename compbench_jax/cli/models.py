"""``compbench models``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from compbench_jax.models.summary import Summary


@dataclass(frozen=True)
class Arguments:
    """List the potentials: parameters, receptive field, cost, citation.

    `python train.py model:NAME --help` has the settings of each.
    """

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Potentials to list, e.g. mace or my_model.py:MyConfig. Without it: all."""

    flops: bool = False
    """Also count the floating-point operations of energy and forces of hexane (20 atoms). Takes a minute."""

    json: bool = False
    """Print a JSON object, values by name of the potential, instead of the table."""


def run(arguments: Arguments) -> None:
    """Count and print."""
    from compbench_jax.errors import CompBenchError, suggestion
    from compbench_jax.models.registry import own_preset, presets
    from compbench_jax.models.summary import summarise

    chosen = presets()
    if arguments.names:
        own = [own_preset(name) for name in arguments.names if ".py" in name]
        unknown = [name for name in arguments.names if ".py" not in name and name not in chosen]
        if unknown:
            raise CompBenchError(f"there is no potential {unknown[0]!r}: {suggestion(unknown[0], chosen)}")
        chosen = {name: chosen[name] for name in arguments.names if name in chosen}
        chosen |= {config.kind: config for config in own}
    found = {name: summarise(config, arguments.flops) for name, config in chosen.items()}
    if arguments.json:
        import json
        from dataclasses import asdict

        print(json.dumps({name: asdict(summary) for name, summary in found.items()}, indent=1, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(table(found, arguments.flops))
    console.print(
        "Receptive field: layers × cutoff (Å). Parameters for the elements H, C, N, O. *: direct forces by default or "
        "optional (--model.direct-forces). fit: fitted in closed form, with a size that depends on the training data."
    )
    if arguments.flops:
        console.print("Flops: energy and forces of hexane, 20 atoms, as traced.")


def table(found: "dict[str, Summary]", flops: bool) -> object:
    """The table that the terminal shows."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    view = Table("name", box=box.SIMPLE_HEAD)
    for heading in ("parameters", "receptive field", *(["Gflop"] if flops else [])):
        view.add_column(heading, justify="right")
    view.columns[0].no_wrap = True
    view.add_column("published", overflow="fold")
    for name, item in found.items():
        cells = [
            name + ("*" if item.direct_forces else ""),
            "fit" if item.parameters is None else f"{item.parameters:,}",
            f"{item.layers} × {item.cutoff:g} = {item.receptive_field:g}",
        ]
        if flops:
            cells.append("–" if item.flops is None else f"{item.flops / 1e9:.3g}")
        view.add_row(*cells, escape(item.citation))
    return view
