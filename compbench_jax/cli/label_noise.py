"""``compbench label-noise``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Label noise, and the error of a cheap level of theory.

    A sample of frames is recomputed with the settings of the labels, with SCF tolerances a hundred times tighter and
    looser, and at other levels. Errors of a potential below the label noise are not significant. A potential with
    errors above those of the cheap level is worse than that level without training.
    """

    data: tyro.conf.Positional[Path]
    """Folder of the data set."""

    sample: int = 40
    """Number of frames to recompute, at least two per molecule."""

    factor: float = 100.0
    """Factor by which the SCF tolerances are divided and multiplied."""

    levels: tuple[str, ...] = ("gfn1-xtb",)
    """Other levels of theory, as `compbench relabel` takes them."""

    seed: int = 0
    """Seed of the sample of frames."""


def run(arguments: Arguments) -> None:
    """Compute and print."""
    from rich.console import Console

    from compbench_jax.cli.progress import job_progress
    from compbench_jax.errors import CompBenchError
    from compbench_jax.labelling.levels import get_level
    from compbench_jax.report.label_noise import label_noise_table
    from compbench_jax.report.terminal import WIDTH
    from compbench_jax.store.label_noise import measure_noise, noise_sample, with_tolerance
    from compbench_jax.store.store import open_store
    from compbench_jax.store.verify import level_of

    if arguments.sample < 2 or not arguments.factor > 1 or arguments.seed < 0:
        raise CompBenchError(
            f"--sample {arguments.sample} --factor {arguments.factor:g} --seed {arguments.seed}: give 2 or more "
            "frames, a factor above 1, and a seed of 0 or more"
        )
    store = open_store(arguments.data, checksums=True)
    own = level_of(store)
    ways = [(f"{own.method}, as the labels", own)]
    for factor, words in ((1 / arguments.factor, "tighter"), (arguments.factor, "looser")):
        changed = with_tolerance(own, factor)
        if changed is not None:
            ways.append((f"{own.method}, SCF {arguments.factor:g}× {words}", changed))
    ways += [(level.method, level) for level in map(get_level, arguments.levels) if level.name != own.name]
    frames = noise_sample(store, arguments.sample, arguments.seed)
    floors = []
    with job_progress(Console(stderr=True), "frames") as progress:
        progress.start(0, len(ways) * len(frames))
        for name, level in ways:
            floors.append(measure_noise(store, frames, level, name, progress.advance))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(label_noise_table(str(arguments.data), floors))
