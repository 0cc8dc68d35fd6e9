import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compbench_jax.training.configuration import OptimiserSettings
from compbench_jax.training.optimiser import ema_rate, learning_rate_schedule, make_optimiser, update_ema


def test_schedule_warms_up_to_the_peak_and_decays_to_the_floor():
    schedule = learning_rate_schedule(OptimiserSettings(learning_rate=0.1, final_fraction=0.2, warmup_steps=4), 100)
    rates = [float(schedule(t)) for t in range(100)]
    np.testing.assert_allclose(rates[:5], [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-6)
    for t in (5, 30, 77, 98):
        cosine = 0.5 * (1 + np.cos(np.pi * (t - 4) / 95))
        np.testing.assert_allclose(rates[t], 0.02 + 0.08 * cosine, rtol=1e-5)
    assert max(rates) == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.02)
    assert float(schedule(1000)) == pytest.approx(0.02)


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 30])
def test_warm_up_takes_at_most_a_tenth_of_a_short_run(steps):
    schedule = learning_rate_schedule(OptimiserSettings(learning_rate=1.0, warmup_steps=100), steps)
    rates = [float(schedule(t)) for t in range(steps)]
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
    settings = OptimiserSettings(learning_rate=0.1, warmup_steps=0, clip_norm=1.0)
    optimiser = make_optimiser(settings, 10)
    params = {"w": jnp.array([1.0, -2.0])}
    gradient = {"w": jnp.array([30.0, 40.0])}
    updates, _ = optimiser.update(gradient, optimiser.init(params), params)
    # Adam's first step is lr · g / (|g| + ε), whatever the size of the gradient.
    np.testing.assert_allclose(updates["w"], [-0.1, -0.1], rtol=1e-5)
    second, _ = optax.clip_by_global_norm(1.0).update(gradient, optax.EmptyState())
    np.testing.assert_allclose(second["w"], [0.6, 0.8], rtol=1e-6)


def test_weight_decay_pulls_on_the_parameters():
    params, gradient = {"w": jnp.array([10.0])}, {"w": jnp.array([0.0])}
    for decay, expected in ((0.0, 0.0), (0.5, -0.1 * 0.5 * 10)):
        optimiser = make_optimiser(OptimiserSettings(learning_rate=0.1, warmup_steps=0, weight_decay=decay), 10)
        updates, _ = jax.jit(optimiser.update)(gradient, optimiser.init(params), params)
        np.testing.assert_allclose(updates["w"], [expected], atol=1e-7)
