"""``compbench train``, which ``train.py`` is too: parse the command line, open the data set, split it, train."""

import sys
from collections.abc import Sequence
from pathlib import Path

from compbench_jax.runtime import prepare_process


def wire(words: Sequence[str] | None = None, prog: str = "python train.py") -> None:
    """Parse the command line, open the data set, split it, train.

    Args:
        words: the command line without its program; None: that of this process.
        prog: what the help calls the program.
    """
    from compbench_jax.models.precision import prepare_precision
    from compbench_jax.training.arguments import configure, parse
    from compbench_jax.training.boards import board_names

    arguments = parse(sys.argv[1:] if words is None else words, prog=prog)
    prepare_precision(arguments.precision)
    boards = board_names(arguments.log)
    # After the command line is known to be good, since these take seconds.
    from compbench_jax.training.processes import connect, is_first, launched_together

    connect(arguments.processes, distributed=launched_together())
    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import CONTROLS, control_of, get_task
    from compbench_jax.training.run import train_run
    from compbench_jax.training.run_folder import control_folder, default_folder

    task = get_task(arguments.task or f"split({arguments.split})")
    store = open_store(Path(arguments.data), checksums=is_first())
    run = arguments.out or default_folder(task.name, arguments.preset, arguments.seed, arguments.prior)
    todo = [(task, run)]
    if arguments.with_controls:
        todo += [(control_of(kind, task), control_folder(run, kind)) for kind in CONTROLS]
    # All splits before the first training: a task without a control should say so at once.
    splits = [item.split(store) for item, _ in todo]
    for (item, folder), split in zip(todo, splits, strict=True):
        configuration = configure(arguments, item.name, store.hash)
        stopped = train_run(
            configuration, store, split, folder, resume=arguments.resume, profile=arguments.profile, boards=boards
        )
        if stopped is not None:
            sys.exit(128 + stopped)


def main() -> None:
    """Entry point."""
    prepare_process()
    from compbench_jax.cli.exit_code import exit_code_of

    sys.exit(exit_code_of(wire))


if __name__ == "__main__":
    main()
