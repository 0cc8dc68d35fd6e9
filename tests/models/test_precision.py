import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.errors import RunError
from compbench_jax.models.layers.linear import ScaledDense
from compbench_jax.models.precision import (
    arithmetic,
    cast_params,
    dtype_of,
    prepare_precision,
    refuse_unprepared,
    short_product,
)
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.models.schnet import SchNetConfig

SMALL = SchNetConfig(features=16, interactions=2, n_basis=12)


def potential(precision, config=SMALL):
    return dataclasses.replace(build_potential(config, NORMALISATION), precision=precision)


@pytest.fixture(scope="module")
def graph():
    return pack([molecule(7, 1), molecule(5, 2)], 5.0, padding=(1, 2, 1))


@pytest.fixture(scope="module")
def params(graph):
    return jax.jit(potential("float32").init)(jax.random.key(0), graph)


def counts(precision, params, graph):
    """Matrix products in energy and forces, and those of them of full and of TF32 precision."""
    text = str(jax.make_jaxpr(potential(precision).energy_and_forces)(params, graph))
    return tuple(
        text.count(word) for word in ("dot_general[", "(Precision.HIGHEST, Precision.HIGHEST)", "(Precision.HIGH, ")
    )


def test_matrix_products_are_whole_unless_asked_otherwise(params, graph):
    products, whole, short = counts("float32", params, graph)
    assert products == whole > 20
    assert short == 0
    products, whole, short = counts("tensorfloat32", params, graph)
    assert whole == 2  # the coefficients of the convolution
    assert short >= products - whole


def test_bfloat16_changes_a_little(params, graph):
    def forces(precision):
        return np.asarray(jax.jit(potential(precision).energy_and_forces)(params, graph)[1])[:12]

    exact, short = forces("float32"), forces("bfloat16")
    error, size = np.abs(short - exact).mean(), np.abs(exact).mean()
    assert 1e-4 * size < error < 3e-2 * size
    assert short.dtype == np.float32


def test_bfloat16_can_be_trained(params, graph):
    def loss(params):
        energy, forces = potential("bfloat16").energy_and_forces(params, graph)
        return jnp.sum(energy**2) + jnp.sum(forces**2)

    gradient = jax.jit(jax.grad(loss))(params)
    for leaf, own in zip(jax.tree.leaves(gradient), jax.tree.leaves(params), strict=True):
        assert leaf.dtype == own.dtype
        assert np.isfinite(leaf).all()


@pytest.mark.parametrize("layer", [nn.Dense(6), nn.Dense(6, use_bias=False), ScaledDense(6)], ids=str)
def test_short_layers_are_the_same_layers(layer):
    x = jax.random.normal(jax.random.key(1), (9, 5))
    params = layer.init(jax.random.key(0), x)
    if "bias" in params["params"]:
        params["params"]["bias"] += 0.3
    with arithmetic("bfloat16"):
        short = layer.apply(params, x)
    whole = layer.apply(params, x)
    assert 0 < np.abs(short - whole).max() < 0.02 * np.abs(whole).max()


def test_a_single_output_keeps_its_digits():
    x = jax.random.normal(jax.random.key(1), (9, 5))
    params = nn.Dense(1).init(jax.random.key(0), x)
    with arithmetic("bfloat16"):
        short = nn.Dense(1).apply(params, x)
    np.testing.assert_array_equal(short, nn.Dense(1).apply(params, x))


def test_short_product_sums_in_float32():
    ones = jnp.ones((1, 4096))
    # Added up in bfloat16, ones stop counting at 256.
    assert float(short_product(ones, ones.T)[0, 0]) == 4096.0


@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("-paper")])
def test_float64_reaches_every_answer(name):
    with jax.enable_x64(True):
        config = MODELS[name]
        subject = potential("float64", config)
        incoming = 0 if subject.triplets else None
        graph = pack([molecule(5, 0)], config.cutoff, dtype=np.float64, incoming=incoming)

        def answer(key):
            params = cast_params(subject.init(key, graph), "float64")
            return subject.energy_and_forces(params, graph)

        energy, forces = jax.eval_shape(answer, jax.random.key(0))
        assert (energy.dtype, forces.dtype) == (np.float64, np.float64)


def test_cast_leaves_integers_alone():
    tree = {"a": np.ones(3, np.float32), "b": np.arange(3, dtype=np.int32)}
    cast = cast_params(tree, "float64")
    assert (cast["a"].dtype, cast["b"].dtype) == (np.float64, np.int32)
    assert dtype_of("bfloat16") is np.float32


def test_float64_needs_64_bit_jax():
    refuse_unprepared("float32")
    with pytest.raises(RunError, match="64-bit JAX"):
        refuse_unprepared("float64")
    with jax.enable_x64(True):
        refuse_unprepared("float64")
    with pytest.raises(RunError, match="--precision is 'half': choose one of float32"):
        prepare_precision("half")


@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("-paper")])
def test_float32_stays_float32_where_double_precision_is_allowed(name):
    config = MODELS[name]
    triplets = 4 if getattr(config, "triplets", False) else None
    graph = pack([molecule(4, 1)], config.cutoff, padding=(1, 2, 1), incoming=triplets)
    single = build_potential(config, NORMALISATION)
    with jax.enable_x64(True):
        params = jax.eval_shape(single.init, jax.random.key(0), graph)
        params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), params)
        found = jax.eval_shape(single.energy_and_forces, params, graph)
    assert [item.dtype for item in found] == [jnp.float32] * 2
