"""``compbench tune``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compbench_jax.training.tune_arguments import TuneArguments


def parse(words: list[str]) -> "TuneArguments":
    """The command line."""
    from compbench_jax.training.tune_arguments import parse

    return parse(words)


def run(arguments: "TuneArguments") -> None:
    """Open the store, split it, search."""
    from compbench_jax.models.precision import prepare_precision
    from compbench_jax.training.arguments import configure
    from compbench_jax.training.run_folder import name_with_prior
    from compbench_jax.training.search import search_space
    from compbench_jax.training.tune import BEST_FILE, trial_folder, tune
    from compbench_jax.training.tune_arguments import default_folder

    prepare_precision(arguments.precision)
    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import get_task
    from compbench_jax.training.progress import Display
    from compbench_jax.training.run import train_run

    task = get_task(arguments.task or f"split({arguments.split})")
    store = open_store(Path(arguments.data), checksums=True)
    base = configure(arguments, task.name, store.hash)
    axes = search_space(base, arguments.search, arguments.default_search)
    split = task.split(store)
    folder = arguments.out or default_folder(task.name, name_with_prior(arguments.preset, arguments.prior))

    def train(configuration: Any, run: Any, watcher: Any) -> int | None:
        display = Display(quiet=not arguments.verbose)
        return train_run(configuration, store, split, run, display=display, watcher=watcher)

    print(
        f"study     {folder}: {arguments.trials} trials of {base.steps} steps, scored on {len(split.validation)} frames"
    )
    for axis in axes:
        print(f"search    {axis}")
    found = tune(
        base, axes, arguments.trials, folder, train, prune=arguments.prune, say=lambda text: print(text, flush=True)
    )
    print("trials    " + ", ".join(f"{count} {name}" for name, count in found.counts.items() if count))
    if found.best is not None:
        run_folder = trial_folder(folder, found.best)
        print(f"best      trial {found.best}, validation loss {found.score:.4g}; {run_folder} is its run")
        for name, value in found.values.items():
            print(f"          {name} = {value:.4g}" if isinstance(value, float) else f"          {name} = {value}")
        print(f"train it: python train.py --config {folder / BEST_FILE}")
    if found.stopped is not None:
        sys.exit(128 + found.stopped)
