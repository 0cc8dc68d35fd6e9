"""The training step: one compiled function from a state and a batch to the next state."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from compbench_jax.models.potential import Params, Potential
from compbench_jax.training.configuration import Configuration
from compbench_jax.training.loss import Graphs, LossSums, loss_sums
from compbench_jax.training.optimiser import ema_rate, update_ema
from compbench_jax.training.state import Interval, TrainState

TrainStep = Callable[[TrainState, Graphs], tuple[TrainState, tuple[Interval, jax.Array]]]


def make_train_step(
    potential: Potential, optimiser: optax.GradientTransformation, configuration: Configuration
) -> TrainStep:
    """Compiled training step for one potential, optimiser and configuration.

    The step takes a state, whose buffers it reuses, and a batch; it returns the next state and, as a copy that lives
    on, the sums since the last line of the log and the step that was not finite (0: none). It compiles once for each
    shape of batches.

    A step whose loss or gradient is not finite changes nothing: the state keeps the values before it and notes the
    step in ``bad_step``; every later step then changes nothing either. So the host need not look after every step.
    """
    log_every = configuration.watch.log_every

    def weighted_loss(params: Params, graph: Graphs) -> tuple[jax.Array, LossSums]:
        sums = loss_sums(*potential.energy_and_forces(params, graph), graph)
        return sums.loss(configuration.loss), sums

    def step(state: TrainState, graph: Graphs) -> tuple[TrainState, tuple[Interval, jax.Array]]:
        (loss, sums), gradient = jax.value_and_grad(weighted_loss, has_aux=True)(state.params, graph)
        norm = optax.tree.norm(gradient)
        updates, opt_state = optimiser.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        count = state.step + 1
        ema = update_ema(state.ema, params, ema_rate(configuration.optimiser.ema_decay, count))
        interval = add_to_interval(restart_interval(state.interval, state.step, log_every), sums, norm)
        updated = TrainState(count, params, ema, opt_state, interval, state.bad_step)

        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        good = finite & (state.bad_step == 0)
        frozen = state._replace(bad_step=jnp.where(state.bad_step == 0, count, state.bad_step))
        new = jax.tree.map(lambda a, b: jnp.where(good, a, b), updated, frozen)
        return new, (new.interval, new.bad_step)

    return jax.jit(step, donate_argnums=0)


def restart_interval(interval: Interval, step: jax.Array, log_every: int) -> Interval:
    """The interval's sums, or zeros after a multiple of ``log_every`` steps, where a line has been logged."""
    fresh = step % log_every == 0
    return jax.tree.map(lambda x: jnp.where(fresh, 0.0, x), interval)


def add_to_interval(interval: Interval, sums: LossSums, norm: jax.Array) -> Interval:
    """The interval with one more step."""
    return Interval(interval.losses + sums, interval.gradient_norm + norm, interval.steps + 1.0)
