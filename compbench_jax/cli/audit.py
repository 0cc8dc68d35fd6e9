"""``compbench audit``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console


@dataclass(frozen=True)
class Arguments:
    """Audit a task's split of a data set: disjointness, coverage, divergence by radius, unseen contacts."""

    task: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TASK")]
    """Name of the task, e.g. chain_extension, "fragment_duplication[NH2]" or "control_random(fragment_fusion)"."""

    data: Path
    """Folder of the data set."""

    json: bool = False
    """Print the audit as JSON instead of tables."""

    cutoff: float = 5.0
    """Å; cutoff of the model. Contacts are always those within 5 Å."""

    draws: int = 200
    """Number of random molecule-disjoint splits to compare D_C with. 0: none."""

    seed: int = 0
    """Seed of the random splits."""

    layers: int | None = None
    """Message-passing layers of a model; the receptive field (layers × cutoff) is then printed."""


def run(arguments: Arguments) -> None:
    """Split, audit, print."""
    from compbench_jax.splits.audit import audit_json, audit_split
    from compbench_jax.splits.audit_table import audit_table
    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import get_task

    task = get_task(arguments.task)
    store = open_store(arguments.data, checksums=True)
    audit = audit_split(store, task.split(store), arguments.seed, arguments.draws, arguments.layers, arguments.cutoff)
    if arguments.json:
        print(audit_json(audit), end="")
    else:
        Console(highlight=False).print(audit_table(audit))
