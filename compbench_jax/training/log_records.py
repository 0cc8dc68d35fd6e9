"""Records of a run's log."""

from typing import Any

import numpy as np

from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.dispatch import Reports
from compbench_jax.training.validation import Errors


def member_key(configuration: RunConfig, index: int) -> dict[str, int]:
    """The ensemble member of a record; nothing in runs of one seed."""
    return {"member": index} if len(configuration.members()) > 1 else {}


def train_values(configuration: RunConfig, report: Reports) -> dict[str, float]:
    """Means over the steps of an interval: of the losses over frames and atoms, of the norms over steps.

    All are NaN if every step of the interval was skipped.

    Args:
        configuration: of the run.
        report: of the last step of the interval and one member, scalars.
    """
    interval = report.interval
    sums = {name: float(value) for name, value in interval.losses._asdict().items()}
    graphs, atoms, steps = sums["graphs"] or np.nan, sums["atoms"] or np.nan, float(interval.steps) or np.nan
    settings = configuration.loss
    return {
        "loss": settings.energy_weight * sums["energy_term"] / graphs
        + settings.force_weight * sums["force_term"] / atoms,
        "energy_mae": sums["energy"] / graphs,
        "force_l2_mae": sums["force"] / atoms,
        "learning_rate": float(report.learning_rate),
        "gradient_norm": float(interval.gradient_norm) / steps,
        "update_norm": float(interval.update_norm) / steps,
    }


def validation_values(errors: Errors, loss: float, best: bool, monitors: dict[str, Errors]) -> dict[str, Any]:
    """Errors of one member at a validation."""
    return {
        "validation_loss": loss,
        "validation_energy_mae": errors.energy_mae,
        "validation_force_l2_mae": errors.force_l2_mae,
        "validation_force_mae": errors.force_mae,
        "best": best,
        **{f"monitor_{name}_force_mae": item.force_mae for name, item in monitors.items()},
    }


def farewell(configuration: RunConfig, index: int, step: int) -> str:
    """Warning for an ensemble member that stops while others continue."""
    member = configuration.members()[index]
    return (
        f"warning: ensemble member {index} (seed {member.seed}, learning rate {member.learning_rate:g}) stops at step "
        f"{step}: its loss or gradient is not finite for the second time; log.jsonl names the frames"
    )


def refusal(step: int, frames: list[str]) -> str:
    """Why a run stops at a step with non-finite values."""
    shown = ", ".join(frames[:10]) + (f" and {len(frames) - 10} more (see log.jsonl)" if len(frames) > 10 else "")
    return (
        f"the loss or its gradient is not finite at step {step}, for the second time, in the batch of frames {shown}; "
        "the state before it is saved: check these frames with `compbench verify`, or train in a new folder with a "
        "lower --optimiser.learning-rate"
    )
