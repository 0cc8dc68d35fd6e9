import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.models.layers.radial_table import TABLES, tabulated
from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.registry import build_potential
from compbench_jax.models.schnet import SchNetConfig

POTENTIAL = build_potential(SchNetConfig(features=32, interactions=2), NORMALISATION)
PROGRAM = jax.jit(POTENTIAL.energy_and_forces)
NODES = jax.jit(POTENTIAL.node_energies)
MOLECULES = [molecule(9, 1), molecule(6, 2)]


@pytest.fixture(scope="module")
def double():
    """Parameters, those with tables, and a batch, in float64."""
    with jax.enable_x64(True):
        graph = pack(MOLECULES, 5.0, padding=(3, 5, 1), dtype=np.float64)
        params = jax.jit(POTENTIAL.init)(jax.random.key(0), graph)
        assert list(params) == ["params"]
        params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), params)
        tables = tabulated(POTENTIAL.module, params, 5.0)
        assert jax.tree.leaves(tables[TABLES])[0].dtype == np.float64
        return params, tables, graph


def test_forces_are_those_of_the_network_within_a_millionth(double):
    params, tables, graph = double
    with jax.enable_x64(True):
        energy, forces = PROGRAM(params, graph)
        largest = []
        for made in (tabulated(POTENTIAL.module, params, 5.0, 2048), tables):
            e, f = PROGRAM(made, graph)
            assert np.abs(e - energy).max() < 1e-7
            largest.append(np.abs(f - forces).max())
    assert np.abs(forces).max() > 0.1
    assert largest[1] < 2e-7
    assert 6 < largest[0] / largest[1] < 12  # third order, as slopes of cubic interpolation are


def test_forces_are_the_gradient_of_the_energy_also_across_an_end_of_an_interval(double):
    _, tables, _ = double
    with jax.enable_x64(True):
        for distance in (5.0 * 820 / 4096, 1.234, 4.9999):
            positions = np.array([[0.0, 0, 0], [distance, 0, 0]])
            graph = pack([(np.array([0, 1]), positions)], 5.0, padding=(1, 0, 1), dtype=np.float64)
            _, forces = PROGRAM(tables, graph)
            step = 1e-6 * np.array([[0.0, 0, 0], [1, 0, 0], [0, 0, 0]])
            ahead, behind = (NODES(tables, graph, graph.nodes["positions"] + sign * step)[:2].sum() for sign in (1, -1))
            np.testing.assert_allclose(forces[1, 0], -(ahead - behind) / 2e-6, atol=1e-8)


def test_padding_gives_nothing(double):
    _, tables, graph = double
    with jax.enable_x64(True):
        bare = pack(MOLECULES, 5.0, padding=(1, 0, 1), dtype=np.float64)
        (energy, forces), (e, f) = (PROGRAM(tables, item) for item in (graph, bare))
    np.testing.assert_allclose(energy[:2], e[:2], atol=1e-12)
    np.testing.assert_allclose(forces[: len(f) - 1], f[:-1], atol=1e-12)
    assert not forces[len(f) - 1 :].any()


def test_the_network_is_left_out():
    graph = pack(MOLECULES, 5.0)
    params = jax.jit(POTENTIAL.init)(jax.random.key(0), graph)
    fast = POTENTIAL.for_inference(params)
    assert jax.tree.leaves(fast[TABLES])[0].dtype == np.float32

    def multiplications(params):
        return jax.jit(POTENTIAL.energy_and_forces).lower(params, graph).compile().cost_analysis()["flops"]

    assert multiplications(fast) < 0.5 * multiplications(params)
    for a, b in zip(*(PROGRAM(p, graph) for p in (params, fast)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_only_where_it_pays():
    params = {"params": {}}
    short = dataclasses.replace(POTENTIAL, precision="bfloat16")
    mace = build_potential(MACEConfig(channels=4), NORMALISATION)
    for potential in (short, mace):
        assert potential.for_inference(params) is params
