"""What defines a training run: every number that its result depends on, saved as ``config.json`` of the run."""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.files import write_atomically
from compbench_jax.models.registry import config_from_json, config_to_json
from compbench_jax.runtime import PRECISIONS

FORMAT = "compbench-run"
VERSION = 1
FILE = "config.json"


@dataclass(frozen=True)
class LossSettings:
    """Weights of the two parts of the loss."""

    energy_weight: float = 4.0
    """Weight of the energy MAE (eV a molecule). 4 is the benchmark's."""

    force_weight: float = 100.0
    """Weight of the force l2-MAE, the mean over atoms of |F̂ − F| (eV/Å). 100 is the benchmark's."""


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam with linear warm-up, cosine decay, clipping and a moving average of the parameters."""

    learning_rate: float = 5e-3
    """Peak learning rate. 5e-3 suits the small presets; take 1e-3 for the paper presets or if the loss jumps."""

    final_fraction: float = 0.01
    """Learning rate at the last step, as a fraction of the peak. Not 0, so that the last steps still count."""

    warmup_steps: int = 100
    """Steps of linear warm-up (at most a tenth of all): Adam's moments need about that many to settle."""

    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW). 0 is plain Adam: a potential's weights have no reason to be small."""

    clip_norm: float = 100.0
    """Largest global norm of the gradient. Small MACE stays below it; SchNet's start, several times above, is tamed."""

    ema_decay: float = 0.999
    """Decay of the moving average of parameters that is validated and evaluated. 0.999 is the benchmark's.
    At step t it is min(decay, (1 + t) / (10 + t)), so that the average forgets the random start."""


@dataclass(frozen=True)
class WatchSettings:
    """How often the run reports, validates and saves."""

    log_every: int = 20
    """Steps a line of log.jsonl, each the mean over these steps."""

    validate_every: int = 250
    """Steps between validations (there is one at the end, too). One costs about as much as 20 steps."""

    monitor_frames: int = 200
    """ID-test and OOD-test frames whose force MAE is logged at every validation; 0: none.
    Nothing is chosen by them: they let potentials be compared at matched ID error."""

    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints beside those at validations: a kill loses at most this much work."""


@dataclass(frozen=True)
class Configuration:
    """A resolved training run.

    Attributes:
        task: canonical name of the task.
        data: folder of the store, as given.
        data_hash: SHA-256 of its manifest.
        preset: name of the model in ``MODELS`` that the configuration started from.
        model: configuration of the potential.
        seed: of initial parameters and batch order.
        steps: optimiser steps.
        batch_size: mean number of structures a batch.
        precision: of the arithmetic, see :mod:`compbench_jax.models.precision`.
        loss, optimiser, watch: see there.
    """

    task: str
    data: str
    data_hash: str
    preset: str
    model: Any
    seed: int
    steps: int
    batch_size: int
    precision: str = "float32"
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    watch: WatchSettings = WatchSettings()


FREE = ("data", "watch.checkpoint_seconds")
"""Settings that do not change what a run computes: a resumed run may have others."""


def check(configuration: Configuration) -> None:
    """Refuse settings that cannot work.

    Raises:
        RunError: names the setting, its value and the values allowed.
    """
    c = configuration
    rules = [
        ("--seed", c.seed, 0 <= c.seed < 2**31, "0 or more, below 2^31"),
        ("--steps", c.steps, c.steps >= 1, "1 or more"),
        ("--batch-size", c.batch_size, c.batch_size >= 1, "1 or more"),
        ("--loss.energy-weight", c.loss.energy_weight, c.loss.energy_weight >= 0, "0 or more"),
        ("--loss.force-weight", c.loss.force_weight, c.loss.force_weight >= 0, "0 or more"),
        ("--optimiser.learning-rate", c.optimiser.learning_rate, c.optimiser.learning_rate > 0, "above 0"),
        ("--optimiser.final-fraction", c.optimiser.final_fraction, 0 <= c.optimiser.final_fraction <= 1, "from 0 to 1"),
        ("--optimiser.warmup-steps", c.optimiser.warmup_steps, c.optimiser.warmup_steps >= 0, "0 or more"),
        ("--optimiser.weight-decay", c.optimiser.weight_decay, c.optimiser.weight_decay >= 0, "0 or more"),
        ("--optimiser.clip-norm", c.optimiser.clip_norm, c.optimiser.clip_norm > 0, "above 0"),
        ("--optimiser.ema-decay", c.optimiser.ema_decay, 0 <= c.optimiser.ema_decay < 1, "from 0 to below 1"),
        ("--watch.log-every", c.watch.log_every, c.watch.log_every >= 1, "1 or more"),
        ("--watch.validate-every", c.watch.validate_every, c.watch.validate_every >= 1, "1 or more"),
        ("--watch.monitor-frames", c.watch.monitor_frames, c.watch.monitor_frames >= 0, "0 or more"),
        ("--watch.checkpoint-seconds", c.watch.checkpoint_seconds, c.watch.checkpoint_seconds >= 0, "0 or more"),
    ]
    for flag, value, good, allowed in rules:
        if not good or not math.isfinite(value):
            raise RunError(f"{flag} is {value}: give a number {allowed}")
    if c.precision not in PRECISIONS:
        raise RunError(f"--precision is {c.precision!r}: choose one of {', '.join(PRECISIONS)}")
    if c.loss.energy_weight == c.loss.force_weight == 0:
        raise RunError("--loss.energy-weight and --loss.force-weight are both 0: give at least one a positive weight")


def to_json(configuration: Configuration) -> dict[str, Any]:
    """Configuration as JSON values."""
    content = {f.name: getattr(configuration, f.name) for f in fields(configuration)}
    for name in ("loss", "optimiser", "watch"):
        content[name] = asdict(content[name])
    return {"format": FORMAT, "version": VERSION, **content, "model": config_to_json(configuration.model)}


def from_json(content: Any, where: Path) -> Configuration:
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
        # Runs of before the setting existed are float32.
        content = {"precision": "float32", **content}
        values = {f.name: content[f.name] for f in fields(Configuration)}
        values["loss"] = LossSettings(**values["loss"])
        values["optimiser"] = OptimiserSettings(**values["optimiser"])
        values["watch"] = WatchSettings(**values["watch"])
        values["model"] = config_from_json(values["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{where} does not fit this version ({type(error).__name__}: {error}): use the version that wrote it"
        ) from error
    return Configuration(**values)


def read(path: Path) -> Configuration:
    """Read a ``config.json``.

    Raises:
        RunError: missing, not JSON, or not a configuration.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise RunError(f"there is no configuration at {path}: give the config.json of a run folder") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is not valid JSON ({error}): restore it, or train in a new folder") from error
    return from_json(content, path)


def write(path: Path, configuration: Configuration) -> None:
    """Write a ``config.json``, whole or not at all."""
    write_atomically(path, (json.dumps(to_json(configuration), indent=1, ensure_ascii=False) + "\n").encode())


def difference(old: Configuration, new: Configuration) -> tuple[str, Any, Any] | None:
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
