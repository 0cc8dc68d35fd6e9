"""What defines a training run: every number that its result depends on, saved as ``config.json`` of the run."""

import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from compbench_jax import files
from compbench_jax.errors import CompBenchError, DataError, RunError
from compbench_jax.files import read_json
from compbench_jax.models import own
from compbench_jax.models.registry import RECIPES, Recipe, config_from_json, config_to_json, is_registered
from compbench_jax.runtime import PRECISIONS, Precision
from compbench_jax.training.settings import DeviceSettings, LossSettings, OptimiserSettings, WatchSettings

FORMAT = "compbench-run"
VERSION = 2
"""1 had one member per run, and fewer settings: those missing have the defaults, which mean the same."""
FILE = "config.json"


Prior = Literal["none", "classical"]


@dataclass(frozen=True)
class RunConfig:
    """A resolved training run: the fields of ``config.json``, and the options of ``compbench train``.

    The text under each field is its help on the command line.
    """

    task: str
    """Task, e.g. chain_extension, "fragment_duplication[NH2]" or "control_random(chain_extension)"."""

    data: str
    """Folder of the data set (made by `compbench generate` or `compbench import`)."""

    data_hash: str
    """SHA-256 of the data set's manifest."""

    preset: str
    """Name of the potential in MODELS that the configuration started from."""

    model: Any
    """Potential to train: a name, or one of your own as model:my_model.py:MyConfig (docs/own-model.md)."""

    seed: int = 0
    """Seed of the initial parameters and of the order of batches."""

    steps: int = 3000
    """Optimiser steps. 3000 steps of 8 structures take a small preset about ten minutes on two CPU cores."""

    batch_size: int = 8
    """Mean number of structures per batch (fewer for larger molecules). 8 is the benchmark's."""

    precision: Precision = "float32"
    """Numerical precision. float32 multiplies matrices in full on every device, where JAX's own default would shorten
    their inputs on GPUs and TPUs: forces are small differences of large terms. tensorfloat32 allows that on GPUs;
    bfloat16 shortens the inputs of the network's dense layers on any device; float64 is for checks. docs/precision.md
    has the error of each."""

    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)

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

    prior: Prior = "none"
    """classical: fit the classical baseline to the training frames first; the network learns what it leaves, and
    predictions are the sum of both (docs/models.md). With --init-from: the prior of that run."""

    def __post_init__(self) -> None:
        """Fill in what the preset decides, where it is known and nothing was given."""
        if self.preset:
            recipe = RECIPES.get(self.preset, Recipe())
            # Fine-tuning moves little from where it starts.
            recipe = replace(recipe, optimiser="adam") if self.init_from else recipe
            object.__setattr__(self, "optimiser", resolve(self.optimiser, recipe))

    def members(self) -> tuple["Member", ...]:
        """Seeds and learning rates that are trained together: all seeds of the first learning rate, then the next."""
        rates = self.learning_rates or (self.optimiser.learning_rate,)
        return tuple(Member(self.seed + k, rate) for rate in rates for k in range(self.seeds))


@dataclass(frozen=True)
class Member:
    """What distinguishes one of the potentials that a run trains together from the others.

    Attributes:
        seed: of its initial parameters and of the order of its batches.
        learning_rate: its peak learning rate.
    """

    seed: int
    learning_rate: float


def resolve(optimiser: OptimiserSettings, recipe: Recipe) -> OptimiserSettings:
    """Settings of an optimiser with those of a recipe where none were given."""
    name: Any = recipe.optimiser if optimiser.name == "auto" else optimiser.name
    return replace(
        optimiser,
        name=name,
        learning_rate=optimiser.learning_rate or recipe.learning_rate,
        matrix_rate=optimiser.matrix_rate or recipe.matrix_rate,
    )


FREE = ("data", "model.code.file", "watch.checkpoint_seconds", *(f"device.{f.name}" for f in fields(DeviceSettings)))
"""Settings that do not change what a run computes, but for rounding: a resumed run may have others."""


def check(configuration: RunConfig) -> None:
    """Refuse settings that cannot work.

    Raises:
        RunError: names the setting, its value and the values allowed.
    """
    c = configuration
    rules = [
        ("--seed", c.seed, 0 <= c.seed < 2**31 - c.seeds, "0 or more, below 2^31"),
        ("--seeds", c.seeds, c.seeds >= 1, "1 or more"),
        *(("--learning-rates", rate, rate > 0, "above 0") for rate in c.learning_rates),
        ("--steps", c.steps, c.steps >= 1, "1 or more"),
        ("--batch-size", c.batch_size, c.batch_size >= 1, "1 or more"),
        ("--loss.energy-weight", c.loss.energy_weight, c.loss.energy_weight >= 0, "0 or more"),
        ("--loss.force-weight", c.loss.force_weight, c.loss.force_weight >= 0, "0 or more"),
        ("--loss.huber-delta", c.loss.huber_delta, c.loss.huber_delta > 0, "above 0"),
        ("--optimiser.learning-rate", c.optimiser.learning_rate, c.optimiser.learning_rate > 0, "above 0"),
        ("--optimiser.matrix-rate", c.optimiser.matrix_rate, c.optimiser.matrix_rate > 0, "above 0"),
        ("--optimiser.final-fraction", c.optimiser.final_fraction, 0 <= c.optimiser.final_fraction <= 1, "from 0 to 1"),
        ("--optimiser.warmup-steps", c.optimiser.warmup_steps, c.optimiser.warmup_steps >= 0, "0 or more"),
        ("--optimiser.weight-decay", c.optimiser.weight_decay, c.optimiser.weight_decay >= 0, "0 or more"),
        ("--optimiser.clip-norm", c.optimiser.clip_norm, c.optimiser.clip_norm > 0, "above 0"),
        ("--optimiser.ema-decay", c.optimiser.ema_decay, 0 <= c.optimiser.ema_decay < 1, "from 0 to below 1"),
        ("--watch.log-every", c.watch.log_every, c.watch.log_every >= 1, "1 or more"),
        ("--watch.validate-every", c.watch.validate_every, c.watch.validate_every >= 1, "1 or more"),
        ("--watch.monitor-frames", c.watch.monitor_frames, c.watch.monitor_frames >= 0, "0 or more"),
        ("--watch.checkpoint-seconds", c.watch.checkpoint_seconds, c.watch.checkpoint_seconds >= 0, "0 or more"),
        ("--watch.patience", c.watch.patience, c.watch.patience >= 0, "0 or more"),
        ("--device.steps-per-dispatch", c.device.steps_per_dispatch, c.device.steps_per_dispatch >= 0, "0 or more"),
        ("--device.accumulate", c.device.accumulate, c.device.accumulate >= 1, "1 or more"),
    ]
    for flag, value, good, allowed in rules:
        if not good or not math.isfinite(value):
            raise RunError(f"{flag} is {value}: give a number {allowed}")
    if c.precision not in PRECISIONS:
        raise RunError(f"--precision is {c.precision!r}: choose one of {', '.join(PRECISIONS)}")
    if c.loss.energy_weight == c.loss.force_weight == 0:
        raise RunError("--loss.energy-weight and --loss.force-weight are both 0: give at least one a positive weight")
    if len(set(c.learning_rates)) < len(c.learning_rates):
        raise RunError(f"--learning-rates has one of {list(c.learning_rates)} twice: give each once")
    if c.freeze and not c.init_from:
        raise RunError("--freeze is given without --init-from: random parameters are not worth keeping")
    if getattr(c.model, "fitted", False) and (len(c.members()) > 1 or c.init_from):
        raise RunError(
            f"{c.preset} is fitted in closed form, it has no seeds and no start: leave out --seeds, --learning-rates "
            "and --init-from"
        )
    if c.prior not in get_args(Prior):
        raise RunError(f"--prior is {c.prior!r}: choose one of {', '.join(get_args(Prior))}")
    if getattr(c.model, "fitted", False) and c.prior != "none":
        raise RunError(f"{c.preset} is fitted in closed form, there is no network to learn the rest: leave out --prior")
    if c.optimiser.name == "adamw" and not c.optimiser.weight_decay:
        raise RunError("--optimiser.name is adamw without a weight decay: give --optimiser.weight-decay, or take adam")


def to_json(configuration: RunConfig) -> dict[str, Any]:
    """RunConfig as JSON values."""
    content = {key: list(item) if isinstance(item, tuple) else item for key, item in asdict(configuration).items()}
    return {"format": FORMAT, "version": VERSION, **content, "model": config_to_json(configuration.model)}


def from_json(content: Any, where: Path) -> RunConfig:
    """Inverse of :func:`to_json`.

    Raises:
        RunError: not such a configuration, or one of a newer version; ``where`` names the file.
    """
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RunError(f"{where} is not the configuration of a training run: give the config.json of a run folder")
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise RunError(f"{where} has version {version}, this program reads up to {VERSION}: upgrade compbench_jax")
    try:
        settings = {key: value for key, value in content.items() if key not in ("format", "version")}
        settings["optimiser"] = {"name": "adam", **settings.get("optimiser", {})}  # before there was a choice
        configuration: RunConfig = files.from_json(RunConfig, settings)
        return replace(configuration, model=config_from_json(configuration.model, where.parent))
    except own.CodeError as error:
        raise own.CodeError(f"{where}: {error}") from error
    except (CompBenchError, ValueError) as error:
        raise RunError(f"{where} does not fit this version ({error})") from error


def read(path: Path) -> RunConfig:
    """Read a ``config.json``.

    Raises:
        DataError: missing or not JSON.
        RunError: not a configuration.
    """
    if not path.is_file():
        raise RunError(f"there is no configuration at {path}: give the config.json of a run folder")
    try:
        content = read_json(path)
    except DataError as error:
        raise RunError(str(error)) from error
    return from_json(content, path)


def write(path: Path, configuration: RunConfig) -> None:
    """Write a ``config.json``, whole or not at all, and next to it the file of a potential of one's own."""
    write_code(path.parent, configuration)
    files.write_atomically(path, (json.dumps(to_json(configuration), indent=1, ensure_ascii=False) + "\n").encode())


def write_code(folder: Path, configuration: RunConfig) -> None:
    """Copy the file of a potential of one's own, if it is one, to where :func:`from_json` will look for it."""
    if not is_registered(configuration.model):
        own.write_code(folder, type(configuration.model))


def difference(old: RunConfig, new: RunConfig) -> tuple[str, Any, Any] | None:
    """First setting that two runs differ in, as (dotted name, old value, new value), but for those of ``FREE``."""
    a, b = flatten(to_json(old)), flatten(to_json(new))
    for key in dict.fromkeys([*a, *b]):
        if key not in FREE and a.get(key) != b.get(key):
            return key, a.get(key), b.get(key)
    return None


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys; tuples become lists, as in JSON."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
