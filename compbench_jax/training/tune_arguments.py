"""The command line of ``compbench tune``: that of ``train.py``, and the settings of a search."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from compbench_jax.training import arguments
from compbench_jax.training.settings import ProcessSettings


@dataclass(frozen=True, kw_only=True)
class TuneArguments(arguments.Arguments):
    """Search settings of a potential by training runs, with optuna, on the tuning frames of a task.

    For example:  compbench tune chain_extension --data data/mini --steps 1000 --trials 20 model:mace

    Every setting of `train.py` may be given and is common to all trials. Their score is the validation loss that
    chooses the best checkpoint of a run: test frames are not used. The same command resumes an interrupted study, and
    several commands may work on one study at a time. best.json is a file for `train.py --config`.
    """

    task: tyro.conf.Positional[str]
    """Task, e.g. chain_extension."""

    out: Path | None = None
    """Folder of the study. Without it: runs/tune-TASK-MODEL."""

    trials: int = 20
    """Number of trials, including those already in the folder. The first four are random, the others chosen."""

    search: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C, for a setting of model, optimiser or loss, or batch_size, e.g.
    --search optimiser.learning_rate=1e-4:1e-2:log --search model.cutoff=4,5,6. Added to the default, or replacing it:
    optimiser.learning_rate=3e-4:3e-2:log, a quarter to four times optimiser.matrix_rate (Muon), a tenth to ten times
    loss.energy_weight, half to twice the width."""

    default_search: bool = True
    """Search the default settings in addition to those of --search."""

    prune: bool = True
    """Stop a trial whose validation loss is above the median of the others' at the same step, after a quarter of its
    steps."""

    verbose: bool = False
    """Show the training of every trial."""

    learning_rates: tyro.conf.Suppress[tuple[float, ...]] = ()
    with_controls: tyro.conf.Suppress[bool] = False
    profile: tyro.conf.Suppress[bool] = False
    log: tyro.conf.Suppress[str] = ""
    resume: tyro.conf.Suppress[bool] = True
    processes: tyro.conf.Suppress[ProcessSettings] = field(default_factory=ProcessSettings)


def parse(command_line: Sequence[str]) -> TuneArguments:
    """Parse a command line; see :func:`compbench_jax.training.arguments.parse`."""
    parsed: TuneArguments = arguments.parse(command_line, TuneArguments, "compbench tune")
    return parsed


def default_folder(task: str, model: str) -> Path:
    """``runs/tune-TASK-MODEL``, without characters that are special in a shell."""
    plain = re.sub(r"[^\w.=]+", "-", task).strip("-")
    return Path("runs") / f"tune-{plain}-{model}"
