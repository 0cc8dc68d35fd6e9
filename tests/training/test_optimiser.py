from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compbench_jax.errors import RunError
from compbench_jax.training.optimiser import ema_rate, frozen_parameters, learning_rate, make_optimiser, update_ema
from compbench_jax.training.settings import OptimiserSettings


def test_schedule_warms_up_to_the_peak_and_decays_to_the_floor():
    settings = OptimiserSettings(final_fraction=0.2, warmup_steps=4)
    rates = rates_of(settings, 100, 0.1)
    np.testing.assert_allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-6)
    for t in (5, 30, 77, 98):
        cosine = 0.5 * (1 + np.cos(np.pi * (t - 4) / 95))
        np.testing.assert_allclose(rates[t], 0.02 + 0.08 * cosine, rtol=1e-5)
    assert max(rates) == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.02)
    assert float(learning_rate(settings, 100, 1000, 0.1)) == pytest.approx(0.02)


def rates_of(settings, steps, peak):
    return np.asarray(learning_rate(settings, steps, np.arange(steps), peak)).tolist()


@pytest.mark.parametrize(
    ("schedule", "expected"), [("linear", 0.5 * 0.1 + 0.5 * 0.001), ("exponential", 0.01), ("constant", 0.1)]
)
def test_other_schedules_go_from_the_peak_to_the_floor(schedule, expected):
    rates = rates_of(OptimiserSettings(schedule=schedule, warmup_steps=10), 111, 0.1)
    assert rates[4] == pytest.approx(0.1 * 5 / 11)
    assert rates[10] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(expected, rel=1e-5)
    assert rates[-1] == pytest.approx(0.1 if schedule == "constant" else 0.001, rel=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 30])
def test_warm_up_takes_at_most_a_tenth_of_a_short_run(steps):
    rates = rates_of(OptimiserSettings(warmup_steps=100), steps, 1.0)
    assert int(np.argmax(rates)) == steps // 10
    assert max(rates) == pytest.approx(1.0)
    assert min(rates) > 0


def test_average_follows_the_corrected_decay():
    decay, average, value = 0.9, 5.0, 0.0
    for t in range(1, 200):
        rate = min(decay, (1 + t) / (10 + t))
        assert float(ema_rate(decay, jnp.int32(t))) == pytest.approx(rate, rel=1e-6)
        value = np.sin(t)
        expected = rate * average + (1 - rate) * value
        average = float(update_ema({"w": jnp.float32(average)}, {"w": jnp.float32(value)}, jnp.float32(rate))["w"])
        assert average == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert float(ema_rate(decay, jnp.int32(1))) == pytest.approx(2 / 11)


def test_first_update_is_adam_on_the_clipped_gradient():
    optimiser = make_optimiser(OptimiserSettings(name="adam", clip_norm=1.0))
    params = {"w": jnp.array([1.0, -2.0])}
    gradient = {"w": jnp.array([30.0, 40.0])}
    updates, _ = optimiser.update(gradient, optimiser.init(params), params)
    # Adam's first step is g / (|g| + ε) for a learning rate of 1, whatever the size of the gradient.
    np.testing.assert_allclose(updates["w"], [-1, -1], rtol=1e-5)
    second, _ = optax.clip_by_global_norm(1.0).update(gradient, optax.EmptyState())
    np.testing.assert_allclose(second["w"], [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "lion", "sgd", "lamb"])
def test_weight_decay_pulls_on_the_parameters(name):
    params, gradient = {"w": jnp.array([10.0])}, {"w": jnp.array([0.0])}
    for decay, expected in ((0.0, 0.0), (0.5, -0.5 * 10)):
        optimiser = make_optimiser(OptimiserSettings(name=name, weight_decay=decay))
        updates, _ = jax.jit(optimiser.update)(gradient, optimiser.init(params), params)
        np.testing.assert_allclose(updates["w"], [expected], atol=1e-6)


def test_adamw_is_that_of_optax():
    params, gradient = {"w": jnp.array([1.0, -2.0])}, {"w": jnp.array([0.3, 0.1])}
    ours = make_optimiser(OptimiserSettings(name="adamw", weight_decay=0.1))
    theirs = optax.adamw(0.01, weight_decay=0.1)
    state, expected_state = ours.init(params), theirs.init(params)
    for _ in range(3):
        updates, state = ours.update(gradient, state, params)
        expected, expected_state = theirs.update(gradient, expected_state, params)
        np.testing.assert_allclose(0.01 * updates["w"], expected["w"], rtol=1e-6)
        params = optax.apply_updates(params, expected)


@pytest.mark.parametrize("name", sorted({*get_args(get_type_hints(OptimiserSettings)["name"])} - {"auto"}))
def test_every_optimiser_goes_downhill(name):
    optimiser = make_optimiser(OptimiserSettings(name=name, weight_decay=0.01, learning_rate=0.02, matrix_rate=0.01))
    params = {"w": jnp.array([2.0, -3.0])}
    state = optimiser.init(params)
    step = jax.jit(lambda params, state: optimiser.update(params, state, params))  # the gradient of |w|² / 2
    for _ in range(20):
        updates, state = step(params, state)
        params = jax.tree.map(lambda p, u: p + 0.02 * u, params, updates)
    assert float(optax.tree.norm(params)) < 3.6


def test_frozen_parameters_have_no_part_in_the_clipping_norm():
    params = {"params": {"a": jnp.ones(1), "b": jnp.ones(1)}}
    gradient = {"params": {"a": jnp.array([1000.0]), "b": jnp.array([1.0])}}
    frozen = frozen_parameters(("/a",), params)
    optimiser = make_optimiser(OptimiserSettings(name="sgd", clip_norm=100.0), frozen)
    updates, _ = optimiser.update(gradient, optimiser.init(params), params)
    assert {name: float(x[0]) for name, x in updates["params"].items()} == {"a": 0.0, "b": -1.0}
    decaying = make_optimiser(OptimiserSettings(name="adam", weight_decay=0.5), frozen)
    updates, _ = decaying.update(gradient, decaying.init(params), params)
    assert float(updates["params"]["a"][0]) == 0.0


def test_freezing_by_path():
    params = {"params": {"embed": {"w": jnp.ones(2)}, "out": {"w": jnp.ones(3)}}}
    assert frozen_parameters((), params) is None
    assert frozen_parameters(("^params/embed",), params) == {"params": {"embed": {"w": True}, "out": {"w": False}}}
    with pytest.raises(RunError, match="fits no parameter: there are params/embed/w, params/out/w"):
        frozen_parameters(("embedding",), params)
    with pytest.raises(RunError, match="not a regular expression"):
        frozen_parameters(("(",), params)
