"""Who results are of: how a potential came to be, and the settings that seeds of a run share."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any

from compbench_jax.errors import CompBenchError
from compbench_jax.evaluation.result import Kind
from compbench_jax.models.registry import BASELINES, config_from_json, config_to_json
from compbench_jax.training.configuration import FORMAT, FREE, RunConfig, flatten

SAME_RUN = ("seed", "seeds", "version", "task")
"""Settings that two seeds of a run may differ in: one of a run of several seeds is like a run of one. (Tasks are
compared by themselves, so that a task and its controls can be said to have the same settings.)
"""


def kind_of(task: str, config: Mapping[str, Any]) -> Kind:
    """How a potential came to be.

    Args:
        task: that it was tested on.
        config: of its run, or of its calculator.

    Returns:
        ``"trained"`` here from random parameters; ``"fine-tuned"`` from another run's; ``"zero-shot"``: pre-trained for
        the task, or the converted weights of a foundation potential, and no more; ``"baseline"``: fitted in closed
        form; ``"foreign"``: a calculator.
    """
    if (config.get("model") or {}).get("kind") == "calculator":
        return "foreign"
    if config.get("init_from"):
        return "fine-tuned"
    if config.get("preset") in BASELINES:
        return "baseline"
    if config.get("task") == f"pretraining({task})":
        return "zero-shot"
    # A converted run belongs to no data and took no steps.
    return "trained" if config.get("steps", 1) or config.get("data_hash", "?") else "zero-shot"


def recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a potential was trained with, but for seed, task and what changes no result.

    Settings that an older version did not write have their defaults, which mean the same.
    """
    flat = flatten(dict(config))
    if flat.get("format") == FORMAT:
        with contextlib.suppress(CompBenchError, KeyError, TypeError, ValueError):
            flat |= flatten({"model": config_to_json(config_from_json(config["model"]))})
        flat = defaults() | {"optimiser.name": "adam"} | flat  # before there was a choice
    if flat.get("optimiser.name") != "muon":
        flat.pop("optimiser.matrix_rate", None)
    if flat.get("init_from"):  # seeds may start from seeds
        flat["init_from"] = re.sub(r"-seed\d+$", "", flat["init_from"])
    return {
        key: value
        for key, value in flat.items()
        if key not in SAME_RUN and key not in FREE and not key.startswith("watch.")
    }


def defaults() -> dict[str, Any]:
    """Default of every setting that has one and is no part of the model, by dotted name."""
    content: dict[str, Any] = {}
    for item in fields(RunConfig):
        if item.default is not MISSING:
            content[item.name] = item.default
        elif item.default_factory is not MISSING:
            content[item.name] = asdict(item.default_factory())
    return flatten(content)
