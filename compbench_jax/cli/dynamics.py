"""``compbench dynamics``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from compbench_jax.runtime import Precision

Property = Literal["curl", "extensivity", "locality", "stretch", "torsion", "folding", "modes", "nve"]


@dataclass(frozen=True)
class Arguments:
    """Trajectories, scans, vibrations and invariants of a run on ID and OOD molecules, compared with a reference.

    The reference is the labels' level of theory, computed here (GFN2-xTB: minutes, once; cached for other runs).
    Writes dynamics.json next to results.json. Finished measurements are kept: the same command resumes, and more
    molecules or properties are added. docs/dynamics.md defines every number.
    """

    run: tyro.conf.Positional[Path]
    """Folder of a run, written by train.py."""

    task: str | None = None
    """Task. Without it: that of the run. Others go to RUN/evaluations/TASK."""

    data: Path | None = None
    """Folder of the data set, if it has moved since the training."""

    other_data: bool = False
    """Continue although the data set is not the one that the run was trained on."""

    properties: tuple[Property, ...] = (
        "curl",
        "extensivity",
        "locality",
        "stretch",
        "torsion",
        "folding",
        "modes",
        "nve",
    )
    """Properties to measure. curl: non-conservative part of the forces; extensivity, locality: size consistency."""

    molecules: int = 2
    """Number of molecules of each test set; they cover its sizes."""

    picoseconds: float = 5.0
    """Length of the trajectories at constant energy."""

    time_step: float = 0.5
    """Time step of the trajectories, fs."""

    temperature: float = 300.0
    """Temperature of the initial velocities, K."""

    level: str | None = None
    """Level of theory of the reference, as for compbench relabel. Without it: that of the labels, unless it is DFT,
    which takes hours. none: no reference, trajectories and invariants only."""

    cache: Path | None = None
    """Folder where results of the reference are cached. Without it: in your cache folder."""

    workers: int = 0
    """Processes that compute the reference, one thread each. 0: one per core."""

    which: Literal["best", "latest"] = "best"
    """Parameters: of the validation with the lowest loss, or of the last checkpoint."""

    member: int | None = None
    """Ensemble member of a run with several seeds. Without it: the one with the lowest validation loss."""

    precision: Precision | None = None
    """Numerical precision. Without it: that of the training."""

    out: Path | None = None
    """Folder for dynamics.json. Without it: that of the run."""

    seed: int = 0
    """Seed of the start frames of trajectories and of their velocities."""


def run(arguments: Arguments) -> None:
    """Measure, write, print the table."""
    from compbench_jax.dynamics.settings import Settings

    settings = Settings(
        properties=arguments.properties,
        molecules=arguments.molecules,
        picoseconds=arguments.picoseconds,
        time_step=arguments.time_step,
        spacing=arguments.time_step * max(1, round(5.0 / arguments.time_step)),
        temperature=arguments.temperature,
        seed=arguments.seed,
    )
    # After the settings are known to be good, since these take seconds.
    import sys

    from rich.console import Console

    from compbench_jax.dynamics.levels import reference_cache, reference_level
    from compbench_jax.dynamics.measure import Measurement
    from compbench_jax.dynamics.results import FILE
    from compbench_jax.evaluation.arguments import plain
    from compbench_jax.evaluation.inputs import check_split, open_data
    from compbench_jax.labelling.executors import make_executor
    from compbench_jax.report.dynamics import dynamics_table, stage_progress
    from compbench_jax.report.terminal import WIDTH
    from compbench_jax.tasks import task_of_run
    from compbench_jax.training.loaded_run import load_run, with_precision
    from compbench_jax.training.run_folder import locked

    trained = with_precision(load_run(arguments.run, arguments.which, arguments.member), arguments.precision)
    store = open_data(trained, arguments.data, arguments.other_data)
    trained_on = trained.config["task"]
    task = task_of_run(arguments.task or trained_on, arguments.run, trained_on)
    split = task.split(store)
    for line in check_split(arguments.run, trained, store, split):
        print(line, file=sys.stderr)
    level, note = reference_level(arguments.level, store)
    if note:
        print(f"note: {note}", file=sys.stderr)
    own = task.name == trained.config["task"]
    out = arguments.out or (arguments.run if own else arguments.run / "evaluations" / plain(task.name))
    cache, executor = arguments.cache or reference_cache(), make_executor("processes", arguments.workers)
    with locked(out, "measuring"), stage_progress(Console(stderr=True)) as report:
        try:
            measurement = Measurement(trained, store, split, settings, level, out, cache, executor, report)
            found = measurement.measure()
        except KeyboardInterrupt:
            print("interrupted: run the same command to go on", file=sys.stderr)
            sys.exit(130)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(dynamics_table(found))
    print(f"written to {out / FILE}")
