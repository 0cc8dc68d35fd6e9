"""``compbench submit``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Make a submission to the leaderboard: a folder with the results and the description of one potential.

    compbench submit runs/*-mymodel-* --name MyModel --description "…" --pretraining none --out leaderboard/MyModel

    One task is enough; a partial submission is marked as such. Check it with `compbench validate FOLDER`,
    then open a pull request with the folder.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Results of the potential: run folders, or folders of such folders."""

    name: str
    """Name of the potential on the leaderboard."""

    description: str
    """Description in a few sentences: architecture, training, hardware."""

    pretraining: str
    """Pre-training data, and which OOD molecules are known to be among them; none if trained here."""

    out: Path
    """Folder to make."""

    url: str = ""
    """Address of code or paper."""


def run(arguments: Arguments) -> None:
    """Write the folder and check it."""
    from compbench_jax.cli.validate import problems_of
    from compbench_jax.errors import RunError
    from compbench_jax.report.leaderboard import read_sources
    from compbench_jax.report.submit import write_submission

    sources = read_sources(arguments.results)
    path = write_submission(
        sources, arguments.out, arguments.name, arguments.description, arguments.pretraining, arguments.url
    )
    problems = problems_of(arguments.out)
    for line in problems:
        print(line)
    if problems:
        raise RunError(f"{arguments.out} is not valid yet: see above")
    print(f"{path}: {len(sources)} results; next: a pull request with {arguments.out}")
