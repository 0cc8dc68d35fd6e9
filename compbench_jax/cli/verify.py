"""``compbench verify``."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console


@dataclass(frozen=True)
class Arguments:
    """Check a data set: checksums, shapes, order, molecules, bonds, temperature, and recomputed labels of a sample.

    The exit code is 2 if anything is wrong.
    """

    data: tyro.conf.Positional[Path]
    """Folder of the data set."""

    sample: int = 50
    """Number of frames whose labels are recomputed. 0: none (no quantum chemistry needed)."""

    seed: int = 0
    """Seed of the sample of frames."""


def run(arguments: Arguments) -> None:
    """Verify the store."""
    from compbench_jax.errors import CompBenchError, DataError
    from compbench_jax.store.store import open_store
    from compbench_jax.store.verify import verify

    if arguments.sample < 0:
        raise CompBenchError(f"--sample is {arguments.sample}: give 0 or more")
    console = Console(highlight=False)
    store = open_store(arguments.data, checksums=True)
    console.print(f"[green]ok[/]    checksums and shapes: {len(store.manifest.files)} arrays")
    failed = []
    for check in verify(store, arguments.sample, arguments.seed):
        mark = "[green]ok   [/]" if check.passed else "[red]WRONG[/]"
        console.print(f"{mark} {check.name}: {check.detail}")
        if not check.passed:
            failed.append(check)
    if failed:
        raise DataError(
            f"{arguments.data} is not sound ({failed[0].name}: {failed[0].detail}): "
            "generate it again or fetch a fresh copy"
        )
