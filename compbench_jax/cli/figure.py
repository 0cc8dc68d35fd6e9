"""``compbench figure``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Arguments:
    """One figure from several results.json.

    by-n: force MAE against n, a panel per task (down) and model (across). overview: ID and OOD force MAE of every
    model with intervals, a panel per task.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Files results.json, folders that hold one, or folders of such folders."""

    out: Path
    """Figure to write; the suffix gives the format: .png, .pdf or .svg."""

    kind: Literal["by-n", "overview"] = "by-n"
    """Kind of figure."""


def run(arguments: Arguments) -> None:
    """Draw the figure."""
    from compbench_jax.cli.validate import problems_alone
    from compbench_jax.errors import RunError
    from compbench_jax.report.figure import force_mae_figure
    from compbench_jax.report.leaderboard import leaderboard, read_sources
    from compbench_jax.report.overview import overview_figure
    from compbench_jax.tasks import ALL_TASKS, CONTROLS

    if not arguments.results:
        raise RunError(
            "no results are given: name one results.json or more, e.g. compbench figure runs/*/results.json --out f.png"
        )
    sources = read_sources(arguments.results, problems_alone)
    if arguments.kind == "overview":
        print(overview_figure(leaderboard(sources, [*ALL_TASKS, *CONTROLS]), arguments.out))
    else:
        print(force_mae_figure([source.results for source in sources], arguments.out))
