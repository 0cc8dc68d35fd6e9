"""Rematerialisation: the same gradients from fewer numbers kept."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.models.dimenet import DimeNetConfig
from compbench_jax.models.painn import PaiNNConfig
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.models.schnet import SchNetConfig
from compbench_jax.store.store import open_store
from compbench_jax.training.data import normalisation_of

MINI = Path(__file__).parent.parent.parent / "data" / "mini"
SMALL = {
    "schnet": SchNetConfig(features=8, interactions=4, n_basis=8),
    "painn": PaiNNConfig(features=8, interactions=4, n_basis=8),
    "dimenet": DimeNetConfig(features=8, blocks=3, triplet_features=4, output_features=8),
}


@pytest.fixture(scope="module")
def frames():
    store = open_store(MINI)
    return store.gather(store.select(0, "primary")[:2])


def problem(config, frames):
    """Potential, parameters, and a loss of energies and forces as a function of potential and parameters."""
    normalisation = normalisation_of(frames, config.cutoff)
    potential = build_potential(config, normalisation)
    dataset = GraphDataset.build(
        frames,
        elements=normalisation.elements,
        reference_energies=normalisation.reference_energies,
        cutoff=config.cutoff,
        batch_size=2,
        triplets=potential.triplets,
    )
    graph = jax.tree.map(jax.numpy.asarray, dataset.batch(dataset.sequential()[0]))

    def loss(potential, params):
        energy, forces = potential.energy_and_forces(params, graph)
        return (energy**2).sum() + ((forces - graph.nodes["forces"]) ** 2).sum()

    return potential, graph, loss


def kept(loss, potential, params):
    """Numbers that the backward pass keeps."""
    residuals = jax.eval_shape(lambda p: jax.vjp(lambda q: loss(potential, q), p)[1], params)
    return sum(leaf.size for leaf in jax.tree.leaves(residuals))


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_the_same_and_fewer_numbers_are_kept(name, frames):
    potential, graph, loss = problem(SMALL[name], frames)
    params = jax.jit(potential.init)(jax.random.key(0), graph)
    saving = replace(potential, remat=True)
    plain = jax.jit(jax.value_and_grad(lambda p: loss(potential, p)))(params)
    again = jax.jit(jax.value_and_grad(lambda p: loss(saving, p)))(params)
    largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(plain))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * largest)
    # PaiNN's convolutions keep no messages anyway.
    assert kept(loss, saving, params) < 0.9 * kept(loss, potential, params)


@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("-paper")])
def test_every_potential_can_be_rematerialised(name, frames):
    potential, graph, loss = problem(MODELS[name], frames)
    params = jax.eval_shape(potential.init, jax.random.key(0), graph)
    saving = replace(potential, remat=True)
    gradient = jax.eval_shape(jax.grad(lambda p: loss(saving, p)), params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
