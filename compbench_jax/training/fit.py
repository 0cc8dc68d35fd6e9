"""Runs of the baselines that are fitted in closed form: the same run folder, log and checkpoint, in one step."""

import os
import time
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.models.baselines.fit import fit_baseline
from compbench_jax.models.potential import Params, Potential
from compbench_jax.models.precision import cast_params
from compbench_jax.training import processes
from compbench_jax.training.boards import open_boards
from compbench_jax.training.checkpoint import Best, Checkpoint, Checkpoints
from compbench_jax.training.configuration import RunConfig, to_json
from compbench_jax.training.data import RunData
from compbench_jax.training.log import FILE as LOG_FILE
from compbench_jax.training.log import RunLog, open_log
from compbench_jax.training.progress import Display
from compbench_jax.training.state import Cursor, initial_state
from compbench_jax.training.validation import errors_on, make_evaluator

STEP = 1
"""The step that a finished fit stands at."""


def fit_run(
    configuration: RunConfig,
    run: Path,
    potential: Potential,
    data: RunData,
    display: Display,
    boards: tuple[str, ...] = (),
) -> None:
    """Fit the parameters, log their errors as a validation, and save them as the only checkpoint.

    A run that has its checkpoint is complete and left alone.

    Args:
        configuration: of the run; steps, optimiser, loss and batch size have no say.
        run: its folder.
        potential: to fit.
        data: frames of the run.
        display: what the terminal shows.
        boards: that are told the records of the log.
    """
    checkpoints = Checkpoints(run)
    if checkpoints.steps():
        display.say(f"the run is complete: evaluate it with `python evaluate.py --run {run}`")
        return
    begun = time.monotonic()
    display.say(f"fitting   {configuration.preset} to {data.train.n_frames} frames, in closed form; run folder {run}")
    train, validation = cast(GraphDataset, data.train), cast(GraphDataset, data.validation)  # see train_run
    params, words = fit_baseline(configuration.model, potential.normalisation, train, validation)
    params = cast_params(params, configuration.precision)
    log = RunLog(Path(os.devnull))
    if processes.is_first():
        log = open_log(run / LOG_FILE, STEP, open_boards(boards, run, to_json(configuration), 0))[0]
    try:
        log.write("start", 0, seconds=0.0, fitted=words)
        evaluator, members = make_evaluator(potential), jax.tree.map(lambda x: jnp.asarray(x)[None], params)
        errors, *_ = errors_on(evaluator, members, data.validation, 1)
        loss = errors.loss(configuration.loss)
        values = {
            "validation_loss": loss,
            "validation_energy_mae": errors.energy_mae,
            "validation_force_l2_mae": errors.force_l2_mae,
            "validation_force_mae": errors.force_mae,
            "best": True,
        }
        for name, dataset in data.monitors.items():
            values[f"monitor_{name}_force_mae"] = errors_on(evaluator, members, dataset, 1)[0].force_mae
        log.write("validation", STEP, **values, seconds=round(time.monotonic() - begun, 3))
    finally:
        log.close()
    checkpoints.save(_checkpoint(params, loss))
    display.say(
        f"fitted in {time.monotonic() - begun:.0f} s: {words}; validation forces {errors.force_mae:.4f} eV/Å: "
        f"evaluate with `python evaluate.py --run {run}`"
    )


def _checkpoint(params: Params, loss: float) -> Checkpoint:
    """A checkpoint with an optimiser that has no state."""
    state = initial_state([jax.device_put(params)], optax.identity())
    best = Best(np.array([STEP]), np.array([loss]), jax.tree.map(lambda x: np.asarray(x)[None], params))
    return Checkpoint(state._replace(step=jnp.int32(STEP)), (Cursor(0, 0),), best)
