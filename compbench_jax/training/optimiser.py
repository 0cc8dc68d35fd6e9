"""The optimiser: clipping, an optimiser of optax by name, the learning rate, and the moving average of parameters."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax

from compbench_jax.errors import RunError
from compbench_jax.models.potential import Params
from compbench_jax.training.muon import muon
from compbench_jax.training.settings import OptimiserSettings

NO_DECAY = {"lamb": {"weight_decay": 0.0}, "lion": {"weight_decay": 0.0}}
"""Weight decay is added here, in the same way for every optimiser."""


def learning_rate(settings: OptimiserSettings, steps: int, count: Any, peak: Any) -> jax.Array:
    """Learning rate of update ``count`` = 0 … steps − 1.

    With w warm-up updates (at most a tenth of all), lr(t) = peak · (t + 1) / (w + 1) for t < w; then from the peak at
    t = w to ``final_fraction`` · peak at t = steps − 1 by half a cosine, a straight line or a geometric sequence; or
    constant.

    Args:
        settings: schedule, warm-up and final fraction.
        steps: of the whole run.
        count: updates before this one.
        peak: largest learning rate.
    """
    warmup = min(settings.warmup_steps, steps // 10)
    floor = peak * settings.final_fraction
    t = jnp.asarray(count, float)
    done = jnp.clip((t - warmup) / max(steps - 1 - warmup, 1), 0.0, 1.0)
    if settings.schedule == "cosine":
        decayed = floor + (peak - floor) * (0.5 * (1.0 + jnp.cos(jnp.pi * done)))
    elif settings.schedule == "linear":
        decayed = floor + (peak - floor) * (1.0 - done)
    elif settings.schedule == "exponential":
        # A final fraction of 0 is out of reach of a geometric sequence.
        decayed = peak * jnp.power(max(settings.final_fraction, 1e-8), done)
    else:
        decayed = jnp.asarray(peak, float)
    return jnp.where(t < warmup, peak * (t + 1) / (warmup + 1), decayed)


def make_optimiser(settings: OptimiserSettings, frozen: Params | None = None) -> optax.GradientTransformation:
    """Clipping by global norm, the optimiser, and decoupled weight decay (Loshchilov and Hutter, 2019).

    Its updates are those of a learning rate of 1: the step multiplies them by the learning rate of the moment, which
    may differ between members of a run.

    Args:
        settings: of the run.
        frozen: see :func:`frozen_parameters`. Frozen parameters have no state and no part in the norm; their updates
            are zero.
    """
    if settings.name == "muon":
        rule = muon(settings.matrix_rate / settings.learning_rate)
    else:
        name = "adam" if settings.name == "adamw" else settings.name
        options: dict[str, Any] = {"momentum": 0.9} if name == "sgd" else NO_DECAY.get(name, {})
        rule = getattr(optax, name)(1.0, **options)
    parts = [optax.clip_by_global_norm(settings.clip_norm), rule]
    if settings.weight_decay:
        parts.append(optax.add_decayed_weights(-settings.weight_decay))
    chain = optax.chain(*parts)
    return chain if frozen is None else optax.transforms.selective_transform(chain, freeze_mask=frozen)


def frozen_parameters(patterns: tuple[str, ...], params: Params) -> Params | None:
    """Which parameters stay as they are, a tree of bool: those whose path, e.g. ``params/embedding/kernel``, contains
    one of these regular expressions. None without expressions.

    Raises:
        RunError: an expression that is not valid, or that no parameter fits.
    """
    if not patterns:
        return None
    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    names = ["/".join(str(getattr(key, "key", key)) for key in path) for path, _ in leaves]
    for pattern in patterns:
        try:
            fits = any(re.search(pattern, name) for name in names)
        except re.error as error:
            raise RunError(f"--freeze {pattern!r} is not a regular expression ({error})") from error
        if not fits:
            raise RunError(f"--freeze {pattern!r} fits no parameter: there are {', '.join(sorted(names))[:300]}")
    return jax.tree.unflatten(structure, [any(re.search(pattern, name) for pattern in patterns) for name in names])


def ema_rate(decay: float, step: jax.Array) -> jax.Array:
    """Weight of the old average at update ``step`` = 1, 2, …: min(decay, (1 + step) / (10 + step))."""
    step = jnp.asarray(step, jnp.float32)
    return jnp.minimum(decay, (1.0 + step) / (10.0 + step))


def update_ema(average: Params, params: Params, rate: jax.Array) -> Params:
    """New average, leaf by leaf: rate · average + (1 − rate) · params."""
    return jax.tree.map(lambda a, p: rate * a + (1.0 - rate) * p, average, params)
