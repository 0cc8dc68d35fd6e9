"""The programs of training, validation and evaluation lower for every platform, whatever this machine has."""

from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import pytest
from training_store import make_configuration

from compbench_jax.evaluation.predict import make_step
from compbench_jax.metrics.sums import empty_table
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.training.batches import BatchSource, stack
from compbench_jax.training.data import build_data, normalisation_of
from compbench_jax.training.dispatch import make_program
from compbench_jax.training.mesh import ALONE
from compbench_jax.training.optimiser import make_optimiser
from compbench_jax.training.settings import DeviceSettings
from compbench_jax.training.state import Cursor, initial_state
from compbench_jax.training.validation import make_evaluator

PLATFORMS = ("cpu", "cuda", "tpu")
PRESETS = [name for name in sorted(MODELS) if not name.endswith("-paper")]
FAST = ("schnet",)


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in PRESETS]
)
def test_train_validation_and_evaluation_steps_lower_for_cpu_cuda_and_tpu(store, split, name):
    model = MODELS[name]
    normalisation = normalisation_of(store.gather(split.train), model.cutoff)
    potential = build_potential(model, normalisation)
    data = build_data(store, split, normalisation, model.cutoff, 4, 0, potential.triplets, potential.bonded)
    device = DeviceSettings(steps_per_dispatch=3, data="device")
    configuration = make_configuration(store, model, seeds=2, device=device)
    optimiser = make_optimiser(configuration.optimiser)
    source = BatchSource(data.train, configuration, ALONE)
    example = data.train.batch(data.train.epoch(0, 0)[0])
    init = partial(jax.eval_shape, potential.init, jax.random.key(0))
    state = jax.eval_shape(lambda p: initial_state([p, p], optimiser), init(example))
    dispatch = next(source.dispatches(0, (Cursor(0, 0),) * 2))

    program = make_program(potential, optimiser, configuration, ALONE, source.fetch)
    train = jax.jit(partial(program, shape=dispatch.shape))
    exported = jax.export.export(train, platforms=PLATFORMS)(state, source.data, dispatch.batches, dispatch.length)
    assert exported.platforms == PLATFORMS
    assert "stablehlo.while" in exported.mlir_module()

    empty = empty_table(data.validation.n_frames)
    table = jnp.broadcast_to(empty, (2, 1, *empty.shape))
    evaluator = jax.jit(make_evaluator(potential))
    exported = jax.export.export(evaluator, platforms=PLATFORMS)(state.members.ema, table, stack([example]))
    assert exported.platforms == PLATFORMS

    step, params = make_step(potential), init(example)
    exported = jax.export.export(step, platforms=PLATFORMS)(params, example)
    assert exported.platforms == PLATFORMS
