"""The command line of ``evaluate.py``, and where its output goes. No science here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from compbench_jax.evaluation.settings import Settings


@dataclass(frozen=True)
class Arguments:
    """Evaluate a trained potential: errors on molecules it was trained on (ID) beside ones it never saw (OOD).

    For example:  python evaluate.py --run runs/chain_extension-mace-seed0

    Writes results.json, predictions/*.npy and force_mae_by_n.png into the folder of the run.
    """

    run: Path
    """Folder of the run, written by train.py."""

    data: Path | None = None
    """Folder of the store. Without it: where the run found it when it was trained."""

    task: str | None = None
    """Another task than the run was trained on; its results go to RUN/evaluations/TASK."""

    other_data: bool = False
    """Evaluate although the store is not the one that the run was trained on."""

    which: Literal["best", "latest"] = "best"
    """Parameters: of the validation with the lowest loss, or of the last checkpoint. Both are moving averages."""

    member: int | None = None
    """One member of a run that trained several, from 0. Without it: all are evaluated, with their mean, spread and
    ensemble; results.json is that of the member with the lowest validation loss."""

    out: Path | None = None
    """Folder for results, predictions and figure. Without it: the folder of the run."""

    split_out: Path | None = None
    """Folder to write the frame indices of the four sets to, as train.npy, validation.npy, id_test.npy,
    ood_test.npy.
    """

    samples: int = 1000
    """Bootstrap draws behind every interval."""

    seed: int = 0
    """Seed of the bootstrap, and of the choice of train frames for the per-element fit of energy errors."""

    batch_size: int = 64
    """Mean number of structures a batch. Changes speed and memory, not results."""

    fit_frames: int = 512
    """Most train frames in the per-element fit of energy errors, evenly over the molecules."""


def parse(command_line: Sequence[str]) -> Arguments:
    """Parse a command line (without the program's name)."""
    return tyro.cli(Arguments, prog="python evaluate.py", args=list(command_line))


def settings_of(arguments: Arguments) -> Settings:
    """The settings that :func:`compbench_jax.evaluation.evaluate.evaluate` takes."""
    return Settings(arguments.samples, arguments.seed, arguments.batch_size, arguments.fit_frames)


def output_folder(arguments: Arguments, trained_on: str, task: str) -> Path:
    """Folder for the results: the run's, or one of its own for another task than the run was trained on."""
    if arguments.out is not None:
        return arguments.out
    return (
        arguments.run
        if task == trained_on
        else arguments.run / "evaluations" / re.sub(r"[^\w.=]+", "-", task).strip("-")
    )
