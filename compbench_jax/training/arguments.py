"""The command line of ``train.py``: parsed by tyro into a configuration. No science here."""

import argparse
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from compbench_jax.errors import RunError, suggestion
from compbench_jax.models.registry import SIZES, is_registered, own_preset
from compbench_jax.models.registry import presets as known_presets
from compbench_jax.training import configuration as config_file
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.settings import ProcessSettings

RUN_FIELDS = tuple(item.name for item in fields(RunConfig))


@dataclass(frozen=True, kw_only=True)
class Arguments(RunConfig):
    """Train a potential on one task of the benchmark.

    For example:  python train.py --task chain_extension --data data/mini model:mace --model.channels 64

    The same command resumes an interrupted run. `compbench tasks` lists the tasks; `python train.py
    model:mace --help` the settings of one potential. Units: Å, eV, eV/Å.
    """

    task: str = ""
    """Task, e.g. chain_extension, "fragment_duplication[NH2]" or "control_random(chain_extension)"; one of your own as
    my_task.py:MyTask (docs/own-model.md)."""

    data_hash: tyro.conf.Suppress[str] = ""
    preset: tyro.conf.Suppress[str] = ""

    split: Path | None = None
    """A split of your own in place of a task: a JSON file of molecules or frames (`compbench split` writes one)."""

    out: Path | None = None
    """Run folder. Without it: runs/TASK-MODEL-seedSEED."""

    config: Path | None = None
    """A config.json of another run as default settings; flags given here override it."""

    with_controls: bool = False
    """Also train the task's two controls with the same settings, into RUN-control_random and RUN-oracle: a random split
    of its molecules, and the oracle, which is trained on the OOD molecules too. Evaluate with the same flag."""

    profile: bool = False
    """Trace a few steps after warm-up into RUN/profile, for Perfetto and TensorBoard (docs/performance.md)."""

    log: str = ""
    """Boards that are told the records of log.jsonl: tensorboard, wandb, or both with a comma (docs/logging.md). Into
    RUN/tensorboard and RUN/wandb; without network unless WANDB_MODE=online."""

    resume: bool = True
    """Resume a run that exists in the folder. With --no-resume an existing run is an error."""

    processes: ProcessSettings = field(default_factory=ProcessSettings)


def parse(command_line: Sequence[str], kind: type[Arguments] = Arguments, prog: str = "python train.py") -> Any:
    """Parse a command line (without the program's name).

    Args:
        command_line: its words.
        kind: what to parse it to; a command that trains may have more arguments.
        prog: name of the program, for its help.

    Returns:
        the arguments, with the preset that the model started from.

    Raises:
        CompBenchError: ``--config`` names a file that cannot be read or does not fit this version.
        SystemExit: the command line is not valid (tyro has printed why), or asked for help.
    """
    base = _base(command_line)
    presets = known_presets() if base is None else {**known_presets(), base.preset: base.model}
    command_line = _with_own(command_line, presets)
    default = None
    if base is not None:
        default = kind(**{name: getattr(base, name) for name in RUN_FIELDS if name not in ("data_hash", "preset")})
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
    # The help writes names with hyphens.
    by_word = {name.replace("_", "-"): name for name in presets}
    words = [word.removeprefix("model:").replace("_", "-") for word in command_line if word.startswith("model:")]
    named = [by_word[word] for word in words if word in by_word]
    fitting = [name for name in named if type(presets[name]) is type(arguments.model)]
    return replace(arguments, preset=fitting[-1] if fitting else base.preset if base is not None else "")


def configure(arguments: Arguments, task: str, data_hash: str) -> RunConfig:
    """The configuration of a run: with the canonical name of the task and the hash of the data set."""
    values = {name: getattr(arguments, name) for name in RUN_FIELDS}
    return RunConfig(**{**values, "task": task, "data_hash": data_hash})


def _base(command_line: Sequence[str]) -> RunConfig | None:
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
    if is_registered(base.model) and base.preset not in known_presets():
        raise RunError(f"{path} has the preset {base.preset!r}: {suggestion(base.preset, known_presets())}")
    return base


def _with_own(command_line: Sequence[str], presets: dict[str, Any]) -> list[str]:
    """The command line with ``model:KIND`` for ``model:FILE.py:CLASS``, and that potential among the presets."""
    words = list(command_line)
    for place, word in enumerate(words):
        text = word.removeprefix("model:")
        if text != word and ".py" in text:
            config = own_preset(text)
            if type(config) is not type(presets.get(config.kind)):  # or settings of --config would be lost
                presets[config.kind] = config
            words[place] = f"model:{config.kind}"
    return words


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
    return make_dataclass(
        "Arguments", [("model", union)], bases=(kind,), frozen=True, kw_only=True, namespace=documented
    )
