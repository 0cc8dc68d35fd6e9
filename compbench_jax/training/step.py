"""The training step of one member: from its state and a batch to the next state, a pure function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from compbench_jax.models.potential import Params, Potential
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.loss import Graphs, LossSums, loss_sums, real_parts
from compbench_jax.training.optimiser import ema_rate, frozen_parameters, learning_rate, update_ema
from compbench_jax.training.state import Interval, MemberState

Total = Callable[[Any], Any]
"""Sum of a tree of arrays over the devices that share a batch."""

MemberStep = Callable[[MemberState, Graphs, jax.Array, Any], tuple[MemberState, jax.Array]]
"""``step(state, parts, count, peak) -> (next state, learning rate)``."""


def make_member_step(
    potential: Potential,
    optimiser: optax.GradientTransformation,
    configuration: RunConfig,
    total: Total | None = None,
) -> MemberStep:
    """Training step for one potential, optimiser and configuration, to be compiled as a part of something larger.

    The step takes a member's state, the parts of its batch that this device has (every array of the batch with a
    leading axis ``[n_parts]``), the number of steps taken so far, and the member's peak learning rate. The loss is that
    of the whole batch: sums over all parts, divided by the counts of all parts. One part after the other is computed
    and their gradients added up, so that only one needs memory at a time.

    Args:
        potential: to train.
        optimiser: see :func:`compbench_jax.training.optimiser.make_optimiser`.
        configuration: of the run.
        total: adds up over the devices that share a batch; None: there is one.
    """
    settings, log_every = configuration.loss, configuration.watch.log_every

    def whole_batch(params: Params, graph: Graphs) -> tuple[jax.Array, LossSums]:
        sums = loss_sums(*potential.energy_and_forces(params, graph), graph, settings)
        return sums.loss(settings), sums

    def part_of_batch(params: Params, graph: Graphs, counts: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, LossSums]:
        sums = loss_sums(*potential.energy_and_forces(params, graph), graph, settings)
        return sums._replace(graphs=counts[0], atoms=counts[1]).loss(settings), sums

    def accumulated(params: Params, parts: Graphs) -> tuple[jax.Array, LossSums, Params]:
        """Loss, sums and gradient of a batch in several parts, here or on several devices."""
        add = (lambda tree: tree) if total is None else total
        counts = add(jax.tree.map(lambda real: real.sum(dtype=float), jax.vmap(real_parts)(parts)))

        def one(carry: tuple[LossSums, Params], graph: Graphs) -> tuple[tuple[LossSums, Params], None]:
            (_, sums), gradient = jax.value_and_grad(part_of_batch, has_aux=True)(params, graph, counts)
            return (carry[0] + sums, jax.tree.map(jnp.add, carry[1], gradient)), None

        if len(parts.n_node) == 1:
            (_, sums), gradient = jax.value_and_grad(part_of_batch, has_aux=True)(params, first(parts), counts)
        else:
            zero = (LossSums.zero(), jax.tree.map(jnp.zeros_like, params))
            (sums, gradient), _ = jax.lax.scan(one, zero, parts)
        sums, gradient = add((sums, gradient))
        return sums.loss(settings), sums, gradient

    def step(state: MemberState, parts: Graphs, count: jax.Array, peak: Any) -> tuple[MemberState, jax.Array]:
        if total is None and len(parts.n_node) == 1:
            (loss, sums), gradient = jax.value_and_grad(whole_batch, has_aux=True)(state.params, first(parts))
        else:
            loss, sums, gradient = accumulated(state.params, parts)
        frozen = frozen_parameters(configuration.freeze, state.params)
        if frozen is not None:
            gradient = jax.tree.map(lambda g, still: jnp.zeros_like(g) if still else g, gradient, frozen)
        norm = optax.tree.norm(gradient)
        updates, opt_state = optimiser.update(gradient, state.opt_state, state.params)
        rate = learning_rate(configuration.optimiser, configuration.steps, count, peak)
        updates = jax.tree.map(lambda u: rate * u, updates)
        params = optax.apply_updates(state.params, updates)
        ema = update_ema(state.ema, params, ema_rate(configuration.optimiser.ema_decay, count + 1))
        start = restart_interval(state.interval, count, log_every)
        interval = add_to_interval(start, sums, norm, optax.tree.norm(updates))
        updated = MemberState(params, ema, opt_state, interval, state.bad_steps)

        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        second, stopped = (state.bad_steps[0] != 0).astype(jnp.int32), state.bad_steps[1] != 0
        noted = jnp.where(stopped, state.bad_steps, state.bad_steps.at[second].set(count + 1))
        skipped = state._replace(interval=start, bad_steps=noted)
        return jax.tree.map(lambda a, b: jnp.where(finite & ~stopped, a, b), updated, skipped), rate

    return step


def first(parts: Graphs) -> Graphs:
    """The first part of a batch."""
    return jax.tree.map(lambda x: x[0], parts)


def restart_interval(interval: Interval, step: jax.Array, log_every: int) -> Interval:
    """The interval's sums, or zeros after a multiple of ``log_every`` steps, where a line has been logged."""
    fresh = step % log_every == 0
    return jax.tree.map(lambda x: jnp.where(fresh, 0.0, x), interval)


def add_to_interval(interval: Interval, sums: LossSums, norm: jax.Array, update_norm: jax.Array) -> Interval:
    """The interval with one more step."""
    return Interval(
        interval.losses + sums, interval.gradient_norm + norm, interval.update_norm + update_norm, interval.steps + 1.0
    )
