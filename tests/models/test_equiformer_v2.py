"""What the contract does not ask of EquiformerV2: its size, its reach, its grid, and its words for impossible sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.errors import CompBenchError
from compbench_jax.models.equiformer_v2 import EquiformerV2Config
from compbench_jax.models.registry import MODELS, build_potential, n_parameters

QUICK = {"xla_backend_optimization_level": 0}

TINY = EquiformerV2Config(
    channels=4,
    layers=1,
    attention_channels=4,
    heads=2,
    alpha_channels=4,
    value_channels=2,
    ffn_channels=4,
    edge_channels=4,
    n_basis=12,
)


def energies(config, graphs):
    """Energies of each graph, with weights three times their initial size: a grid is tried by large signals."""
    with jax.enable_x64(True):
        potential = build_potential(config, NORMALISATION)
        shapes = jax.eval_shape(potential.init, jax.random.key(0), graphs[0])
        rng = np.random.default_rng(0)
        params = jax.tree.map(lambda leaf: 1.5 * rng.normal(size=leaf.shape) * leaf.shape[-1] ** -0.5, shapes)
        compiled = jax.jit(potential.energy, compiler_options=QUICK)
        return np.array([float(compiled(params, graph)[0]) for graph in graphs])


def turned(positions, seed):
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return positions @ (turn * np.linalg.det(turn))


def graph_of(species, positions):
    return pack([(species, positions)], TINY.cutoff, dtype=np.float64)


def test_energies_turn_with_the_molecule_as_exactly_as_the_grid_is_fine():
    species, positions = molecule(6, 0, spacing=1.0)
    graphs = [graph_of(species, p) for p in (positions, *(turned(positions, seed) for seed in range(4)))]
    coarse, fine = (energies(dataclasses.replace(TINY, grid_resolution=n), graphs) for n in (6, 24))
    assert np.ptp(coarse) > 1e-6
    assert np.ptp(fine) < 1e-4 * np.ptp(coarse)


def test_receptive_field():
    """An atom feels one that is layers + 1 cutoffs away, along a chain, and none beyond."""
    spacing = TINY.cutoff - 1
    assert TINY.receptive_field == 2 * TINY.cutoff
    chain = np.arange(4)[:, None] * np.array([[spacing, 0.0, 0.0]])
    with jax.enable_x64(True):
        potential = build_potential(TINY, NORMALISATION)
        graph = graph_of(np.array([1, 1, 0, 1]), chain)
        params = jax.jit(potential.init, compiler_options=QUICK)(jax.random.key(0), graph)

        def first(positions):
            return potential.node_energies(params, graph, positions)[0]

        slope = np.abs(jax.jit(jax.grad(first), compiler_options=QUICK)(jnp.asarray(graph.nodes["positions"]))).max(
            axis=1
        )
    assert slope[2] > 1e-9
    assert slope[3] == 0


def test_paper_preset_has_the_size_of_the_publication():
    """31 M: with ninety elements and the force head, exactly fairchem's count (parity/test_equiformer_parity.py)."""
    config = MODELS["equiformer_v2-paper"]
    assert (config.layers, config.channels, config.l_max, config.m_max, config.heads) == (8, 128, 4, 2, 8)

    def count(config, n_elements):
        normalisation = dataclasses.replace(NORMALISATION, elements=tuple(range(1, n_elements + 1)))
        nodes = jnp.zeros(2, int)
        graph = jnp.zeros((2, 3)), nodes, nodes, nodes
        return n_parameters(jax.eval_shape(config.build(normalisation).init, jax.random.key(0), *graph))

    assert count(config, 90) == 31_058_690
    assert 30.5e6 < count(config, 4) < 31e6
    assert 27e6 < count(dataclasses.replace(config, direct_forces=False), 4) < 28e6


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"l_max": 1, "m_max": 2}, "m_max at most l_max"),
        ({"l_max": 0, "m_max": 0}, "l_max must be at least 1"),
        ({"l_max": 4}, "grid_resolution to at least 10"),
    ],
)
def test_impossible_sizes(sizes, words):
    with pytest.raises(CompBenchError, match=words):
        EquiformerV2Config(**{"grid_resolution": 8} | sizes)
