"""What is evaluated: a run of ours or any calculator, as far as its results speak of it."""

from dataclasses import dataclass, field
from typing import Any

from compbench_jax.models.registry import n_parameters
from compbench_jax.training.loaded_run import LoadedRun


@dataclass(frozen=True)
class ModelUnderTest:
    """The potential that results are about.

    Attributes:
        name: of the preset or calculator.
        seed: of the training; 0 for a calculator.
        config: contents of ``results["config"]``.
        step: of the checkpoint; None for a calculator.
        more: further entries of ``results.json``.
    """

    name: str
    seed: int
    config: dict[str, Any]
    step: int | None = None
    more: dict[str, Any] = field(default_factory=dict)


def model_under_test(run: LoadedRun) -> ModelUnderTest:
    """The tested that a trained run is."""
    seed = run.seed if run.member else run.config["seed"]
    more: dict[str, Any] = {"parameters": n_parameters(run.params)}
    if run.damaged:
        more["damaged_checkpoints"] = list(run.damaged)
    prior = run.config.get("prior", "none")
    name = run.config["preset"] + (f" + {prior} prior" if prior != "none" else "")
    return ModelUnderTest(name, seed, run.config, run.step, more)
