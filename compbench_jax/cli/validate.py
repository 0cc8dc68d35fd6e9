"""``compbench validate``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Check submissions to the leaderboard: schema, sums, metrics recomputed from molecule sums, sound splits, data.

    Prints one line per problem; the exit code is 0 if there is none.
    """

    submissions: tyro.conf.Positional[tuple[Path, ...]]
    """Folders (or their submission.json)."""


def run(arguments: Arguments) -> None:
    """Check them all."""
    from compbench_jax.errors import RunError

    if not arguments.submissions:
        raise RunError("no submission is given: compbench validate leaderboard/*")
    bad = 0
    for path in arguments.submissions:
        try:
            problems = problems_of(path)
        except RunError as error:
            problems = [str(error)]
        bad += bool(problems)
        for line in problems:
            print(f"{path}: {line}")
        if not problems:
            print(f"{path}: valid")
    if bad:
        raise RunError(f"{bad} of {len(arguments.submissions)} submissions are not valid: see above")


def problems_of(path: Path) -> list[str]:
    """Problems of one submission, clashes with those next to it among them."""
    from compbench_jax.report.submission import validate_submission
    from compbench_jax.store.published import PUBLISHED

    return validate_submission(path, canonical, PUBLISHED)


def problems_alone(path: Path) -> list[str]:
    """Problems of one submission by itself."""
    from compbench_jax.report.submission import submission_problems
    from compbench_jax.store.published import PUBLISHED

    return submission_problems(path, canonical, PUBLISHED)


def canonical(text: str) -> str:
    """Canonical name of a task of the benchmark.

    Raises:
        TaskError: it is none.
    """
    from compbench_jax.errors import TaskError
    from compbench_jax.tasks import REFERENCES, get_task

    task = get_task(text, files=False)
    if task.kind in REFERENCES:
        raise TaskError(f"{text} is no task of the benchmark: evaluate on one of them (compbench tasks)")
    return task.name
