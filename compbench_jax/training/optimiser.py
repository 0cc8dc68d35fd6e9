"""The optimiser: clipping, Adam, linear warm-up, cosine decay, and the moving average of parameters."""

import jax
import jax.numpy as jnp
import optax

from compbench_jax.models.potential import Params
from compbench_jax.training.configuration import OptimiserSettings


def learning_rate_schedule(settings: OptimiserSettings, steps: int) -> optax.Schedule:
    """Learning rate of update t = 0 … steps − 1.

    With w warm-up updates (at most a tenth of all), lr(t) = peak · (t + 1) / (w + 1) for t < w; then half a cosine from
    the peak at t = w to ``final_fraction`` · peak at t = steps − 1.
    """
    warmup = min(settings.warmup_steps, steps // 10)
    peak, floor = settings.learning_rate, settings.learning_rate * settings.final_fraction
    decay = max(steps - 1 - warmup, 1)

    def schedule(count: jax.Array) -> jax.Array:
        t = jnp.asarray(count, jnp.float32)
        cosine = 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.clip((t - warmup) / decay, 0.0, 1.0)))
        return jnp.where(t < warmup, peak * (t + 1) / (warmup + 1), floor + (peak - floor) * cosine)

    return schedule


def make_optimiser(settings: OptimiserSettings, steps: int) -> optax.GradientTransformation:
    """Clipping by global norm, then Adam (AdamW with a weight decay above zero) at the scheduled learning rate."""
    schedule = learning_rate_schedule(settings, steps)
    adam = optax.adamw(schedule, weight_decay=settings.weight_decay) if settings.weight_decay else optax.adam(schedule)
    return optax.chain(optax.clip_by_global_norm(settings.clip_norm), adam)


def ema_rate(decay: float, step: jax.Array) -> jax.Array:
    """Weight of the old average at update ``step`` = 1, 2, …: min(decay, (1 + step) / (10 + step))."""
    step = jnp.asarray(step, jnp.float32)
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def update_ema(average: Params, params: Params, rate: jax.Array) -> Params:
    """New average, leaf by leaf: rate · average + (1 − rate) · params."""
    return jax.tree.map(lambda a, p: rate * a + (1.0 - rate) * p, average, params)
