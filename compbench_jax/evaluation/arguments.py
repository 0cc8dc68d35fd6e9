"""The command line of ``evaluate.py``, and where its output goes. No science here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from compbench_jax.errors import RunError
from compbench_jax.evaluation.settings import Settings
from compbench_jax.runtime import Precision

CALCULATOR_FIT_FRAMES = 128
"""Train frames in the fit for a calculator: it has to compute them for this alone."""


@dataclass(frozen=True)
class Arguments:
    """Evaluate a potential: errors on training molecules (ID, unseen frames) and on unseen molecules (OOD).

    A run of train.py:  python evaluate.py --run runs/chain_extension-mace-seed0

    Any ASE calculator:  python evaluate.py --calculator gfn1-xtb --task chain_extension --data data/mini

    A foundation model (after compbench foundation install so3lr):  python evaluate.py --foundation so3lr --task
    chain_extension --data data/mini

    Writes results.json, predictions/ and force_mae_by_n.png into the folder of the run, or --out. docs/evaluating.md
    explains calculators, other environments, and how an interrupted evaluation goes on.
    """

    run: Path | None = None
    """Folder of a run, written by train.py."""

    calculator: str | None = None
    """An ASE calculator: module:callable, FILE.py:callable, or gfn1-xtb, gfn2-xtb (tblite), perturb (labels plus noise:
    a check of the evaluator)."""

    calculator_kwargs: str | None = None
    """Keywords for that callable, a JSON object."""

    calculator_level: str | None = None
    """Level of theory of the calculator in words, e.g. PBE0+MBD; printed with that of the labels if they differ."""

    python: Path | None = None
    """Interpreter (or virtual environment) that the calculator runs in, with numpy and ase. Without it: this one."""

    foundation: str | None = None
    """A foundation potential that `compbench foundation install` made an environment for."""

    foundation_dir: Path | None = None
    """Where that environment is, if it was installed with --dir."""

    workers: int = 1
    """Worker processes; 0: one per core. Those of a calculator have one thread each. Those of a run share the cores of
    a CPU: faster from about ten thousand frames on, since each takes about eight seconds to start."""

    timeout: float = 300.0
    """Seconds that the calculator may take per frame, before its worker is replaced."""

    start_timeout: float = 300.0
    """Seconds a worker may take to start (imports, weights)."""

    retry_failed: bool = False
    """Try frames again that the calculator failed on before."""

    data: Path | None = None
    """Folder of the data set. Required with a calculator. Without it: the run's own."""

    task: str | None = None
    """Task, or my_task.py:MyTask. Required with a calculator. Results of a run on another task than its own go to
    RUN/evaluations/TASK."""

    split: Path | None = None
    """A split of your own in place of a task: a JSON file (`compbench split`). Without it: that of the run."""

    other_data: bool = False
    """Evaluate although the data set is not the one that the run was trained on."""

    precision: Precision | None = None
    """Numerical precision of a run. Without it: that of its training (see train.py --help)."""

    which: Literal["best", "latest"] = "best"
    """Parameters: of the validation with the lowest loss, or of the last checkpoint. Both are moving averages."""

    member: int | None = None
    """Ensemble member of a run with several seeds, from 0. Without it: all are evaluated, with their mean, standard
    deviation and ensemble; results.json is that of the one with the lowest validation loss."""

    with_controls: bool = False
    """Evaluate the run's controls too, trained by train.py --with-controls; print the compositional gap."""

    out: Path | None = None
    """Folder for results, predictions and figure. Without it: that of the run, or runs/TASK-NAME for a calculator."""

    split_out: Path | None = None
    """Folder to write the frame indices of the four sets to, as train.npy, validation.npy, id_test.npy,
    ood_test.npy.
    """

    samples: int = 1000
    """Bootstrap draws of the intervals of ensemble uncertainties."""

    seed: int = 0
    """Seed of the bootstrap, and of the choice of train frames for the per-element fit of energy errors."""

    batch_size: int = 64
    """Mean number of structures per batch. Changes speed and memory, not results."""

    fit_frames: int | None = None
    """Maximum number of train frames in the per-element fit of energy errors, evenly over the molecules. Without it:
    512, or 128 of a calculator."""

    max_frames: int | None = None
    """Maximum number of frames of each test set, evenly over its molecules. Without it: all."""

    uncertainty: bool = False
    """Also the standard deviation of the energies from the last layer, and how it fits the errors; needs no ensemble.
    Then ``Calculator(RUN, uncertainty=True)`` gives it."""

    benchmark: bool = False
    """Only time the run: structures per second here, and frame by frame through its ASE calculator."""

    profile: bool = False
    """Only trace the evaluation of a few batches into RUN/profile/evaluation, for Perfetto and TensorBoard."""


def parse(command_line: Sequence[str], prog: str = "python evaluate.py") -> Arguments:
    """Parse a command line (without the program's name).

    Raises:
        RunError: not exactly one of a run, a calculator and a foundation potential, or options that do not go together.
    """
    arguments = tyro.cli(Arguments, prog=prog, args=list(command_line))
    if arguments.task is not None and arguments.split is not None:
        raise RunError("--task and --split are given: give one of the two")
    given = [name for name in ("run", "calculator", "foundation") if getattr(arguments, name) is not None]
    if len(given) != 1:
        what = "nothing to evaluate is given" if not given else f"--{' and --'.join(given)} are given"
        raise RunError(f"{what}: give one of --run DIR, --calculator module:callable and --foundation NAME")
    if arguments.with_controls and (
        given[0] != "run" or arguments.task or arguments.out or arguments.member is not None
    ):
        raise RunError("--with-controls goes with --run RUN alone: leave out --task, --out, --member and calculators")
    if given[0] == "run":
        if arguments.workers != 1 and arguments.profile:
            raise RunError("--profile traces one process: leave out --workers")
        odd = [
            name for name in ("calculator_kwargs", "calculator_level", "python") if getattr(arguments, name) is not None
        ]
        if odd:
            raise RunError(f"--{odd[0].replace('_', '-')} belongs to --calculator: leave it out, or leave out --run")
        others = arguments.task or arguments.split or arguments.other_data or arguments.member is not None
        if arguments.uncertainty and (others or arguments.which != "best"):
            raise RunError(
                "--uncertainty is that of a run's best parameters on its own task: leave out --task, --split, "
                "--other-data, --member and --which"
            )
    else:
        if (arguments.task is None and arguments.split is None) or arguments.data is None:
            raise RunError(f"--{given[0]} needs --task TASK (or --split FILE) and --data DIR too")
        if arguments.member is not None:
            raise RunError(f"--member picks one of a run's potentials, and --{given[0]} has none: leave it out")
        if arguments.precision is not None:
            raise RunError(f"--precision is that of a run's arithmetic, and --{given[0]} has its own: leave it out")
        if arguments.uncertainty:
            raise RunError("--uncertainty is that of a run's last layer: give --run DIR")
        if arguments.benchmark:
            raise RunError("--benchmark times a run of ours: give --run DIR")
        if arguments.profile:
            raise RunError("--profile traces a run of ours: give --run DIR")
        if given[0] == "foundation" and (arguments.python, arguments.calculator_kwargs) != (None, None):
            raise RunError("--foundation brings interpreter and keywords along: use --calculator for others")
    return arguments


def settings_of(arguments: Arguments) -> Settings:
    """The settings that :func:`compbench_jax.evaluation.evaluate.evaluate` takes."""
    fit_frames = arguments.fit_frames
    if fit_frames is None:
        fit_frames = Settings.fit_frames if arguments.run is not None else CALCULATOR_FIT_FRAMES
    return Settings(arguments.samples, arguments.seed, arguments.batch_size, fit_frames, arguments.max_frames)


def output_folder(arguments: Arguments, trained_on: str, task: str) -> Path:
    """Folder for the results: the run's, or a folder in it for another task than that of its training."""
    if arguments.out is not None:
        return arguments.out
    assert arguments.run is not None
    return arguments.run if task == trained_on else arguments.run / "evaluations" / plain(task)


def calculator_folder(arguments: Arguments, name: str, task: str) -> Path:
    """Folder for the results of a calculator."""
    return arguments.out or Path("runs") / f"{plain(task)}-{plain(name)}"


def plain(text: str) -> str:
    """A name without characters that are special in a shell."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")
