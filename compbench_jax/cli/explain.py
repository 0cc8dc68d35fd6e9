"""``compbench explain``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro


@dataclass(frozen=True)
class Arguments:
    """Error breakdown of evaluated runs: by bonds to unseen environments, element, fragment, CH2, |F|, contacts.

    Also prints the unseen environments of the task by radius and the receptive field of the potential. For several
    seeds it prints whether the ensemble standard deviation predicts the error. Runs that differ in their seed only are
    pooled. docs/explaining.md explains the tables.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of evaluated runs (or their results.json)."""

    data: Path | None = None
    """Folder of the data set. With it, the ensemble standard deviation of several seeds is compared with the error."""

    csv: Path | None = None
    """Write all rows to this CSV file too, for plots."""

    samples: int = 1000
    """Bootstrap draws of the intervals of ensemble uncertainties."""

    seed: int = 0
    """Seed of the draws."""


def run(arguments: Arguments) -> None:
    """Print the tables."""
    from rich.console import Console

    from compbench_jax.errors import RunError
    from compbench_jax.report.breakdown_table import breakdown_rows, breakdown_table, write_csv
    from compbench_jax.report.ensemble_table import ensemble_table
    from compbench_jax.report.receptive_field import read_audit, receptive_field, receptive_field_table
    from compbench_jax.report.runs import group_runs, read_runs
    from compbench_jax.report.terminal import WIDTH

    if not arguments.results:
        raise RunError("no results are given: name one run or more, e.g. compbench explain runs/*")
    if arguments.samples < 1 or arguments.seed < 0:
        raise RunError(
            f"--samples {arguments.samples} --seed {arguments.seed}: give 1 or more draws, and a seed of 0 or more"
        )
    runs = read_runs(arguments.results)
    folders, results = [folder for folder, _ in runs], [item for _, item in runs]
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    place = {id(item): index for index, item in enumerate(results)}
    found = []
    for group in group_runs(results):
        own = [place[id(item)] for item in group.runs]
        rows = breakdown_rows(group.runs)
        found.append((group.runs, rows))
        console.print(breakdown_table(group.runs, rows))
        console.print()
        audit = read_audit(folders[own[0]], results[own[0]])
        if audit is not None:
            console.print(receptive_field_table(audit, receptive_field(results[own[0]])))
            console.print()
        if len(own) > 1 and arguments.data is not None:
            console.print(ensemble_table(_spread([folders[k] for k in own], arguments)))
            console.print()
    if arguments.csv is not None:
        write_csv(arguments.csv, found)
        console.print(f"data: {arguments.csv}", markup=False, soft_wrap=True)


def _spread(folders: Sequence[Path], arguments: Arguments) -> dict[str, Any]:
    """Ensemble standard deviation and error of the runs in these folders, from their predictions."""
    from compbench_jax.evaluation.saved import saved_uncertainty
    from compbench_jax.evaluation.settings import Settings
    from compbench_jax.store.store import open_store

    assert arguments.data is not None
    settings = Settings(samples=arguments.samples, seed=arguments.seed)
    return saved_uncertainty(folders, open_store(arguments.data, checksums=True), settings)
