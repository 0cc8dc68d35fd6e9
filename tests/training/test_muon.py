import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compbench_jax.models.potential import Normalisation
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.models.summary import _graph, hexane
from compbench_jax.training.muon import labels, matrix_axes, muon
from compbench_jax.training.optimiser import frozen_parameters, make_optimiser
from compbench_jax.training.settings import OptimiserSettings

SMALL = sorted(name for name in MODELS if not name.endswith("-paper"))
RNG = np.random.default_rng(0)


def parameters(name):
    potential = build_potential(MODELS[name], Normalisation((1, 6, 7, 8), (0.0,) * 4, 1.0, 19.0))
    return jax.eval_shape(potential.init, jax.random.key(0), _graph(hexane(), potential))


def named(tree):
    is_axes = lambda node: node is None or isinstance(node, optax.contrib.MuonDimensionNumbers)  # noqa: E731
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_axes)
    return {"/".join(key.key for key in path[1:]): leaf for path, leaf in leaves}


@pytest.mark.parametrize("name", SMALL)
def test_nearly_all_parameters_of_every_potential_are_matrices(name):
    params = parameters(name)
    rule = labels(params)
    sizes = {kind: 0 for kind in ("matrix", "other")}
    for kind, leaf in zip(jax.tree.leaves(rule), jax.tree.leaves(params), strict=True):
        sizes[kind] += leaf.size
    assert sizes["matrix"] / sum(sizes.values()) > 0.85
    others = {path for path, kind in named(rule).items() if kind == "other"}
    assert not [path for path in others if path.endswith("kernel") and min(named(params)[path].shape[-2:]) > 1]


def test_axes_of_features():
    mace, nequip, equiformer = (named(matrix_axes(parameters(name))) for name in ("mace", "nequip", "equiformer_v2"))
    assert mace["interaction_0/skip/l0"] == nequip["layer_1/skip_0e/kernel"] == (0, 2)
    assert mace["interaction_0/linear/l1/kernel"] == (0, 1)
    assert equiformer["blocks/attention/projection/kernel"] == (2, 3)
    assert mace["embedding"] is mace["readout_0/kernel"] is mace["product_0/weight_1_0"] is None


def test_an_update_is_orthogonal_and_has_the_size_of_the_rate():
    params = {"dense": {"kernel": jnp.asarray(RNG.normal(size=(40, 24)))}, "bias": jnp.ones(24)}
    gradient = {"dense": {"kernel": jnp.asarray(RNG.normal(size=(40, 24)))}, "bias": jnp.full(24, 3.0)}
    optimiser = muon(0.5)
    updates, _ = optimiser.update(gradient, optimiser.init(params), params)
    update, rms = updates["dense"]["kernel"], np.sqrt(np.mean(params["dense"]["kernel"] ** 2))
    assert np.sqrt(np.mean(update**2)) == pytest.approx(0.5 * rms, rel=0.2)
    values = np.linalg.svd(update, compute_uv=False)
    assert values.max() / values.min() < 2.0  # of the gradient it is above 5
    assert float(jnp.vdot(update, gradient["dense"]["kernel"])) < 0
    np.testing.assert_allclose(updates["bias"], -1.0, rtol=1e-5)  # Adam's first step


def test_it_is_that_of_optax_but_for_the_initial_values():
    start = jnp.asarray(RNG.normal(size=(16, 32)))
    params = {"kernel": start / jnp.sqrt(jnp.mean(start**2))}
    ours, theirs = muon(0.3), optax.contrib.muon(1.0, consistent_rms=0.3, adam_weight_decay=0.0)
    state, expected_state = ours.init({"a": params}), theirs.init({"a": params})
    for _ in range(3):
        gradient = {"a": {"kernel": jnp.asarray(RNG.normal(size=(16, 32)))}}
        updates, state = ours.update(gradient, state, {"a": params})
        expected, expected_state = theirs.update(gradient, expected_state, {"a": params})
        np.testing.assert_allclose(updates["a"]["kernel"], expected["a"]["kernel"], rtol=1e-4, atol=1e-6)


def test_elements_are_independent():
    """The matrix of an element that a batch lacks stays as it was."""
    params = {"interaction_0": {"skip": {"l0": jnp.asarray(RNG.normal(size=(8, 3, 8)))}}}
    gradient = jax.tree.map(lambda x: x.at[:, 1].set(0.0), params)
    optimiser = muon(1.0)
    updates, _ = optimiser.update(gradient, optimiser.init(params), params)
    moved = np.abs(updates["interaction_0"]["skip"]["l0"]).max(axis=(0, 2))
    assert moved[1] == 0.0 and min(moved[0], moved[2]) > 0.1


def test_the_rate_of_matrices_is_separate_from_the_learning_rate():
    params = {"dense": {"kernel": jnp.asarray(RNG.normal(size=(8, 8))), "bias": jnp.ones(8)}}
    sizes = []
    for rate in (1e-2, 1e-3):
        optimiser = make_optimiser(OptimiserSettings(name="muon", learning_rate=rate, matrix_rate=0.05))
        updates, _ = optimiser.update(params, optimiser.init(params), params)
        sizes.append({name: rate * float(jnp.abs(value).max()) for name, value in updates["dense"].items()})
    assert sizes[0]["kernel"] == pytest.approx(sizes[1]["kernel"], rel=1e-5)
    assert sizes[0]["bias"] == pytest.approx(10 * sizes[1]["bias"], rel=1e-5)


def test_frozen_matrices_stay():
    params = {"params": {"a": {"kernel": jnp.eye(4)}, "b": {"kernel": jnp.eye(4)}}}
    settings = OptimiserSettings(name="muon", learning_rate=1e-2, matrix_rate=0.01)
    optimiser = make_optimiser(settings, frozen_parameters(("/a/",), params))
    updates, _ = optimiser.update(params, optimiser.init(params), params)
    assert float(jnp.abs(updates["params"]["a"]["kernel"]).max()) == 0.0
    assert float(jnp.abs(updates["params"]["b"]["kernel"]).max()) > 0.0
