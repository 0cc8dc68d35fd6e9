"""The command line of ``train.py``: parsed by tyro into a configuration. No science here."""

import argparse
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from compbench_jax.errors import RunError, suggestion
from compbench_jax.models.registry import SIZES
from compbench_jax.models.registry import presets as known_presets
from compbench_jax.runtime import Precision
from compbench_jax.training import configuration as config_file
from compbench_jax.training.configuration import Configuration
from compbench_jax.training.settings import (
    DeviceSettings,
    LossSettings,
    OptimiserSettings,
    ProcessSettings,
    WatchSettings,
)

SHARED = (
    "seed",
    "seeds",
    "learning_rates",
    "init_from",
    "freeze",
    "steps",
    "batch_size",
    "precision",
    "optimiser",
    "loss",
    "watch",
    "device",
)
"""Fields that command line and configuration have in common."""


@dataclass(frozen=True)
class Arguments:
    """Train a potential on one task of the benchmark.

    For example:  python train.py --task chain_extension --data data/mini model:mace --model.channels 64

    The same command resumes an interrupted run. `compbench tasks` lists the tasks; `python train.py
    model:mace --help` the settings of one potential. Units: Å, eV, eV/Å.
    """

    data: Path
    """Folder of the data set (made by `compbench generate` or `compbench import`)."""

    model: Any
    """Potential to train."""

    task: str = ""
    """Task, e.g. chain_extension, "fragment_duplication[NH2]" or "control_random(chain_extension)"."""

    split: Path | None = None
    """A split of your own in place of a task: a JSON file of molecules or frames (`compbench split` writes one)."""

    out: Path | None = None
    """Run folder. Without it: runs/TASK-MODEL-seedSEED."""

    config: Path | None = None
    """A config.json of another run as default settings; flags given here override it."""

    seed: int = 0
    """Seed of the initial parameters and of the order of batches."""

    seeds: int = 1
    """Number of seeds to train together in one program: SEED, SEED + 1, …. Cheaper than one after the other."""

    learning_rates: tuple[float, ...] = ()
    """Peak learning rates to train together, each with every seed; the lowest validation loss (tuning frames, never
    test frames) chooses. Without it: --optimiser.learning-rate."""

    init_from: str = ""
    """Folder of a run to start from (fine-tuning): its best parameters, with new reference energies. Take a learning
    rate about ten times lower. The run must not have been trained on OOD molecules of this task."""

    freeze: tuple[str, ...] = ()
    """Regular expressions: parameters whose path matches one are frozen, e.g. embedding. With --init-from."""

    steps: int = 3000
    """Optimiser steps. 3000 steps of 8 structures take a small preset about ten minutes on two CPU cores."""

    batch_size: int = 8
    """Mean number of structures per batch (fewer for larger molecules). 8 is the benchmark's."""

    precision: Precision = "float32"
    """Numerical precision. float32 multiplies matrices in full on every device, where JAX's own default would shorten
    their inputs on GPUs and TPUs: forces are small differences of large terms. tensorfloat32 allows that on GPUs;
    bfloat16 shortens the inputs of the network's dense layers on any device; float64 is for checks. docs/models.md has
    the error of each."""

    with_controls: bool = False
    """Also train the task's two controls with the same settings, into RUN-control_random and RUN-oracle: a random split
    of its molecules, and the oracle, which is trained on the OOD molecules too. Evaluate with the same flag."""

    profile: bool = False
    """Trace a few steps after warm-up into RUN/profile, for Perfetto and TensorBoard (docs/performance.md)."""

    resume: bool = True
    """Resume a run that exists in the folder. With --no-resume an existing run is an error."""

    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
    processes: ProcessSettings = field(default_factory=ProcessSettings)


def parse(
    command_line: Sequence[str], kind: type[Arguments] = Arguments, prog: str = "python train.py"
) -> tuple[Any, str]:
    """Parse a command line (without the program's name).

    Args:
        command_line: its words.
        kind: what to parse it to; a command that trains may have more arguments.
        prog: name of the program, for its help.

    Returns:
        the arguments, and the name of the preset that the model started from.

    Raises:
        CompBenchError: ``--config`` names a file that cannot be read or does not fit this version.
        SystemExit: the command line is not valid (tyro has printed why), or asked for help.
    """
    base = _base(command_line)
    presets = known_presets() if base is None else {**known_presets(), base.preset: base.model}
    default = None
    if base is not None:
        shared = {name: getattr(base, name) for name in ("task", "model", *SHARED)}
        default = kind(data=Path(base.data), **shared)
    arguments = tyro.cli(
        _arguments_type(presets, kind),
        prog=prog,
        args=list(command_line),
        default=default,
        # Settings of the run are understood before and after the name of the model.
        config=(tyro.conf.CascadeSubcommandArgs,),
    )
    if arguments.split is not None and base is not None and arguments.task == base.task:
        arguments = replace(arguments, task="")  # that of --config
    if bool(arguments.task) == (arguments.split is not None):
        raise RunError("give one of --task TASK (`compbench tasks` lists them) and --split FILE")
    named = [word.removeprefix("model:") for word in command_line if word.removeprefix("model:") in presets]
    fitting = [name for name in named if type(presets[name]) is type(arguments.model)]
    return arguments, fitting[-1] if fitting else base.preset if base is not None else ""


def configure(arguments: Arguments, preset: str, task: str, data_hash: str) -> Configuration:
    """The resolved configuration: with the canonical name of the task and the hash of the store."""
    shared = {name: getattr(arguments, name) for name in SHARED}
    return Configuration(
        task=task, data=str(arguments.data), data_hash=data_hash, preset=preset, model=arguments.model, **shared
    )


def _base(command_line: Sequence[str]) -> Configuration | None:
    """The configuration that ``--config`` names, which gives the other flags their defaults."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", type=Path)
    try:
        path = parser.parse_known_args(list(command_line))[0].config
    except argparse.ArgumentError:  # --config without a value: tyro says so better
        return None
    if path is None:
        return None
    base = config_file.read(path)
    if base.preset not in known_presets():
        raise RunError(f"{path} has the preset {base.preset!r}: {suggestion(base.preset, known_presets())}")
    return base


def _arguments_type(presets: dict[str, Any], kind: type[Arguments]) -> Any:
    """``kind`` with one subcommand for each preset as the type of ``model``."""

    def subcommand(name: str, default: Any) -> Any:
        size = f"; {SIZES.get(name, 'a size for minutes on a CPU')}"
        if getattr(default, "fitted", False):
            size = ""  # its summary says that it is fitted, not trained
        summary = (type(default).__doc__ or name).splitlines()[0].rstrip(".")
        command = tyro.conf.subcommand(name, default=default, description=f"{summary}{size}.")
        return Annotated[type(default), command]

    union: Any = functools.reduce(operator.or_, (subcommand(name, default) for name, default in presets.items()))
    documented = {"__doc__": kind.__doc__}
    return make_dataclass("Arguments", [("model", union)], bases=(kind,), frozen=True, namespace=documented)
