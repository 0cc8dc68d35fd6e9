"""The state of a training run on the device: everything that the next step depends on, but the batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from compbench_jax.models.potential import Params
from compbench_jax.training.loss import LossSums


class Cursor(NamedTuple):
    """Place in the sequence of batches: a batch of an epoch's plan, both counted from zero."""

    epoch: int
    position: int


class Interval(NamedTuple):
    """Sums since the last line of the log.

    Attributes:
        losses: of the batches.
        gradient_norm: sum over steps of the gradient's global norm before clipping.
        steps: number of steps, a real number.
    """

    losses: LossSums
    gradient_norm: jax.Array
    steps: jax.Array

    @classmethod
    def zero(cls) -> "Interval":
        """An interval without steps."""
        return cls(LossSums.zero(), jnp.zeros((), float), jnp.zeros((), float))


class TrainState(NamedTuple):
    """State after ``step`` updates.

    Attributes:
        step: updates applied, int32.
        params: parameters being optimised.
        ema: their moving average, which is validated and evaluated.
        opt_state: state of the optimiser.
        interval: sums since the last line of the log; part of the state so that a resumed run logs the same lines.
        bad_step: 0, or the step whose loss or gradient was not finite, int32. Once set, the state no longer changes: it
            is the one before that step.
    """

    step: jax.Array
    params: Params
    ema: Params
    opt_state: optax.OptState
    interval: Interval
    bad_step: jax.Array


def initial_state(params: Params, optimiser: optax.GradientTransformation) -> TrainState:
    """State before the first step; the average starts as a copy of the parameters."""
    # No buffer may occur twice, since the training step reuses each.
    step, bad_step = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    ema = jax.tree.map(jnp.copy, params)
    return TrainState(step, params, ema, optimiser.init(params), Interval.zero(), bad_step)


def state_template(params: Params, optimiser: optax.GradientTransformation) -> TrainState:
    """Shapes and dtypes of a state for parameters of these shapes, without computing anything."""
    return jax.eval_shape(lambda p: initial_state(p, optimiser), params)
