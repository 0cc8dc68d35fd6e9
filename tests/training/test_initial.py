"""Initial parameters are compiled in a hurry, and are what they would be otherwise."""

from functools import partial

import jax
import numpy as np
import pytest

from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.training.data import build_data, normalisation_of
from compbench_jax.training.run import quick_compilation

PRESETS = [name for name in sorted(MODELS) if not name.endswith("-paper")]


@pytest.mark.parametrize("name", ["pair", *(pytest.param(name, marks=pytest.mark.slow) for name in PRESETS)])
def test_quick_compilation_gives_the_same_bits(store, split, name):
    model = MODELS[name]
    normalisation = normalisation_of(store.gather(split.train), model.cutoff)
    potential = build_potential(model, normalisation)
    data = build_data(store, split, normalisation, model.cutoff, 4, 0, potential.triplets)
    graph = data.train.batch(data.train.epoch(0, 0)[0])
    quick, usual = (jax.jit(potential.init, compiler_options=options) for options in (quick_compilation(), None))
    # GemNet fits its scaling factors to the first batch, the others draw random numbers.
    compare = np.testing.assert_array_equal if name != "gemnet" else partial(np.testing.assert_allclose, rtol=1e-5)
    for seed in (0, 1):
        jax.tree.map(compare, *(init(jax.random.key(seed), graph) for init in (quick, usual)))
