"""``compbench figure``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """One figure from several results.json: force MAE against n, a panel for each task (down) and model (across)."""

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Files results.json, or the folders of runs that hold them."""

    out: Path
    """The picture to write; its ending says the format: .png, .pdf or .svg."""


def run(arguments: Arguments) -> None:
    """Draw the figure."""
    from compbench_jax.errors import RunError
    from compbench_jax.evaluation.results import read_results
    from compbench_jax.report.figure import force_mae_figure

    if not arguments.results:
        raise RunError(
            "no results are given: name one results.json or more, e.g. compbench figure runs/*/results.json --out f.png"
        )
    print(force_mae_figure([read_results(path) for path in arguments.results], arguments.out))
