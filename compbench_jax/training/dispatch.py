"""Several training steps of all ensemble members as one compiled program: one dispatch to the device."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from compbench_jax.batching.packing import BatchShape
from compbench_jax.models.potential import Potential
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.loss import Graphs
from compbench_jax.training.mesh import BATCH, BATCHES, MEMBERS, OUTPUTS, SEED, SHARED, Layout
from compbench_jax.training.state import Interval, MemberState, TrainState
from compbench_jax.training.step import make_member_step

Fetch = Callable[[Any, Any, BatchShape], Graphs]
"""``fetch(data, item, shape)``: a padded batch from what the host sent for it."""


class Reports(NamedTuple):
    """Report of each step of a dispatch, arrays ``[n_steps, n_members, …]``; rows of steps not taken are zero.

    Attributes:
        interval: sums since the last line of the log.
        bad_steps: see :class:`compbench_jax.training.state.MemberState`.
        learning_rate: of the step.
    """

    interval: Interval
    bad_steps: jax.Array
    learning_rate: jax.Array


Program = Callable[..., tuple[TrainState, Reports]]
"""``program(state, data, batches, count, shape=shape) -> (state, reports)``, see :func:`make_program`."""


def make_program(
    potential: Potential,
    optimiser: optax.GradientTransformation,
    configuration: RunConfig,
    layout: Layout,
    fetch: Fetch,
) -> Program:
    """Compile the steps of one dispatch for one potential, optimiser and configuration.

    The program takes a state, whose buffers it reuses; data that ``fetch`` works with; ``batches``, what the host sends
    for each batch, arrays ``[n_steps, n_members, n_parts, …]``; and the number of steps to take of these, a scalar on
    the device, so that a dispatch cut short by a validation runs the same program. It compiles once for each shape.

    Members are a mapped axis (``vmap``), unless a device has only one. A step in which a member's loss or gradient is
    not finite changes nothing in that member, the first time. The second time that member stays as it was before that
    step, from then on; when it is so of all members, the whole state does: the host need not look after every step.
    """
    rates = [member.learning_rate for member in configuration.members()]
    alone = len(rates) == 1

    def total(tree: Any) -> Any:
        vector, back = ravel_pytree(tree)  # one collective for all leaves: each has a cost of its own
        return back(jax.lax.psum(vector, BATCH))

    member_step = make_member_step(potential, optimiser, configuration, total if layout.n_batch > 1 else None)

    def program(
        state: TrainState, data: Any, batches: Any, count: jax.Array, peaks: jax.Array, shape: BatchShape
    ) -> tuple[TrainState, Reports]:
        def of_member(member: MemberState, items: Any, peak: Any, step: jax.Array) -> tuple[MemberState, jax.Array]:
            parts = jax.vmap(lambda item: fetch(data, item, shape))(items)
            return member_step(member, parts, step, peak)

        def take(state: TrainState, items: Any) -> tuple[TrainState, Reports]:
            if len(peaks) == 1:
                squeezed = jax.tree.map(lambda x: x[0], (state.members, items))
                new, rate = of_member(squeezed[0], squeezed[1], rates[0] if alone else peaks[0], state.step)
                members, rate = jax.tree.map(lambda x: x[None], (new, rate))
            else:
                members, rate = jax.vmap(of_member, in_axes=(0, 0, 0, None))(state.members, items, peaks, state.step)
            before = stopped(state.members.bad_steps, layout)
            halt = before | stopped(members.bad_steps, layout)
            noted = jnp.where(before, state.members.bad_steps, members.bad_steps)
            held = state.members._replace(bad_steps=noted)
            members = jax.tree.map(lambda old, new: jnp.where(halt, old, new), held, members)
            step = jnp.where(halt, state.step, state.step + 1)
            return TrainState(step, members), Reports(members.interval, members.bad_steps, rate)

        def one(i: jax.Array, carry: tuple[TrainState, Reports]) -> tuple[TrainState, Reports]:
            state, reports = carry
            state, report = take(state, jax.tree.map(lambda x: x[i], batches))
            return state, jax.tree.map(lambda rows, row: rows.at[i].set(row), reports, report)

        length = jax.tree.leaves(batches)[0].shape[0]
        if length == 1:
            state, report = take(state, jax.tree.map(lambda x: x[0], batches))
            return state, jax.tree.map(lambda x: x[None], report)
        row = Reports(state.members.interval, state.members.bad_steps, jnp.asarray(peaks))
        empty = jax.tree.map(lambda x: jnp.zeros((length, *x.shape), x.dtype), row)
        return jax.lax.fori_loop(0, count, one, (state, empty))

    def compiled(
        state: TrainState, data: Any, batches: Any, count: jax.Array, *, shape: BatchShape
    ) -> tuple[TrainState, Reports]:
        of_state: Any = TrainState(SHARED, MEMBERS)  # type: ignore[arg-type]
        shared = layout.shared_out(
            lambda state, data, batches, count, peaks: program(state, data, batches, count, peaks, shape),
            (of_state, SHARED, BATCHES, SHARED, MEMBERS),
            (of_state, OUTPUTS),
        )
        return shared(state, data, batches, count, jnp.asarray(rates, float))

    return jax.jit(compiled, donate_argnums=0, static_argnames="shape")


def stopped(bad_steps: jax.Array, layout: Layout) -> jax.Array:
    """Whether all ensemble members, on all devices, have had a second step with non-finite values."""
    here = (bad_steps[:, 1] != 0).all()
    return jax.lax.pmin(here.astype(jnp.int32), SEED) > 0 if layout.n_seed > 1 else here
