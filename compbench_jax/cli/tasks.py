"""``compbench tasks``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

if TYPE_CHECKING:
    from compbench_jax.splits.task import Task
    from compbench_jax.store.store import FrameStore


@dataclass(frozen=True)
class Arguments:
    """List the tasks: parameters, question, training molecules and held-out molecules."""

    names: Positional[tuple[str, ...]] = ()
    """Tasks to list, e.g. "fragment_duplication[NH2]" or my_task.py:MyTask. Without it: all, with their defaults."""

    data: Path | None = None
    """Folder of a data set: also count each task's molecules and frames in it."""

    draw: Path | None = None
    """File (png): draw one training and one test molecule of each task into it, and stop."""


def run(arguments: Arguments) -> None:
    """Print the tasks with their default parameters, then the controls."""
    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import ALL_TASKS, CONTROLS, REFERENCES, VARIANTS, get_task

    tasks = [get_task(name) for name in arguments.names or (*ALL_TASKS, *(() if arguments.draw else REFERENCES))]
    if arguments.draw is not None:
        from compbench_jax.report.task_drawing import draw_tasks

        draw_tasks(tasks, arguments.draw)
        print(arguments.draw)
        return
    store = None if arguments.data is None else open_store(arguments.data)
    table = Table("task", "", show_lines=True)
    table.columns[0].no_wrap = True
    for task in tasks:
        counted = "" if store is None else f"\nin this data set: {counts(task, store)}"
        words = [task.in_words(task.trained_on), task.in_words(task.tested_on)]
        table.add_row(f"[bold]{escape(task.name)}[/]", described(type(task), *words) + counted)
    for control in () if arguments.names else (*CONTROLS.values(), *VARIANTS.values()):
        name = escape(f"{control.kind}(TASK)")
        table.add_row(f"[bold]{name}[/]", described(control, control.trained_on, control.tested_on))
    console = Console(highlight=False)
    console.print(table)
    if not arguments.names:
        console.print(escape(notes()))


def described(kind: "type[Task]", trained_on: str, tested_on: str) -> str:
    """What a task tests, as rich markup."""
    lines = {"tests": kind.principle, "trained on": trained_on, "OOD test": tested_on, "in the paper": kind.paper_name,
             "public": kind.public, "inferred here": kind.inferred}  # fmt: skip
    rows = [f"[dim]{key}:[/] {escape(text)}" for key, text in lines.items() if text]
    return "\n".join([f"[bold]{escape(kind.question)}[/]", *rows])


def notes() -> str:
    """How the parameters are written."""
    from compbench_jax.molecules.fragments import BARE, FAMILIES, FRAGMENTS

    fragments = ", ".join(f"{key} ({row.family})" for key, row in FRAGMENTS.items() if key != BARE.key)
    families = ", ".join(family.replace(" ", "_") for family in FAMILIES)
    return (
        "Brackets hold the parameters; the defaults are shown above.\n"
        f"  fragments: {fragments}\n"
        f"  families (chain_extension, chain_interpolation; default alkane): {families}\n"
        "  seeds of the random control: control_random(TASK,seed=1)\n"
        "Quote names with brackets or parentheses in a shell: --task 'fragment_duplication[NH2]'."
    )


def counts(task: "Task", store: "FrameStore") -> str:
    """The task's molecules and frames in a store, or why it cannot be built from it."""
    import numpy as np

    from compbench_jax.errors import TaskError

    try:
        split = task.split(store)
    except TaskError as error:
        return f"[red]{escape(str(error).removeprefix(f'{task.name}: '))}[/]"
    trained, tested = (len(np.unique(store.molecule[frames])) for frames in (split.train, split.ood_test))
    return (
        f"{trained} molecules trained on, {tested} OOD; frames: {len(split.train)} train, "
        f"{len(split.validation)} validation, {len(split.id_test)} ID test, {len(split.ood_test)} OOD test"
    )
