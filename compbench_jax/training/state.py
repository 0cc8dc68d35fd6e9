"""The state of a training run on the device: everything that the next step depends on, but the batches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compbench_jax.models.potential import Params
from compbench_jax.training.loss import LossSums


class Cursor(NamedTuple):
    """Place of a member in its sequence of batches: a batch of a plan, both counted from zero.

    A plan is an epoch, or a buffer of one (:meth:`compbench_jax.batching.dataset.BatchedFrames.epoch`).
    """

    epoch: int
    position: int


class Interval(NamedTuple):
    """Running sums since the last record of the log.

    Attributes:
        losses: of the batches.
        gradient_norm: sum over steps of the gradient's global norm before clipping.
        update_norm: sum over steps of the global norm of what was added to the parameters.
        steps: number of steps, a real number; those that were skipped do not count.
    """

    losses: LossSums
    gradient_norm: jax.Array
    update_norm: jax.Array
    steps: jax.Array

    @classmethod
    def zero(cls) -> "Interval":
        """An interval without steps."""
        return cls(LossSums.zero(), *(jnp.zeros((), float) for _ in range(3)))


class MemberState(NamedTuple):
    """State of one member; in a :class:`TrainState`, of all of them, with a leading axis ``[n_members]``.

    Attributes:
        params: parameters being optimised.
        ema: their moving average, which is validated and evaluated.
        opt_state: state of the optimiser.
        interval: sums since the last line of the log; part of the state so that a resumed run logs the same lines.
        bad_steps: int32 ``[2]``: the first and second step whose loss or gradient was not finite, 0: none. The first
            is skipped; at the second the member stops, and stays as it was before that step.
    """

    params: Params
    ema: Params
    opt_state: optax.OptState
    interval: Interval
    bad_steps: jax.Array


class TrainState(NamedTuple):
    """State after ``step`` updates.

    Attributes:
        step: steps taken, int32; the same for every member.
        members: states of the members, every array with a leading axis ``[n_members]``.
    """

    step: jax.Array
    members: MemberState


def initial_member(params: Params, optimiser: optax.GradientTransformation) -> MemberState:
    """State of a member before the first step; the average starts as a copy of the parameters."""
    # No buffer may occur twice, since the training step reuses each.
    ema = jax.tree.map(jnp.copy, params)
    return MemberState(params, ema, optimiser.init(params), Interval.zero(), jnp.zeros(2, jnp.int32))


def initial_state(params: Sequence[Params], optimiser: optax.GradientTransformation) -> TrainState:
    """State before the first step, for the initial parameters of each member."""
    members = [initial_member(p, optimiser) for p in params]
    return TrainState(jnp.zeros((), jnp.int32), jax.tree.map(lambda *x: jnp.stack(x), *members))


def state_template(params: Params, optimiser: optax.GradientTransformation, n_members: int) -> TrainState:
    """Shapes and dtypes of a state for members with parameters of these shapes, without computing anything."""
    return jax.eval_shape(lambda p: initial_state([p] * n_members, optimiser), params)


def member_of(tree: Any, index: int) -> Any:
    """One member of a tree whose arrays have a leading axis of members."""
    return jax.tree.map(lambda x: x[index], tree)
