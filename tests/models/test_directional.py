"""DimeNet++ and GemNet-T beyond the contract: how far they see, and how GemNet's scaling factors start."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.models.gemnet import ScaleFactor
from compbench_jax.models.registry import MODELS, build_potential

NARROW = {
    "dimenet": {"features": 4, "triplet_features": 3, "basis_features": 2, "output_features": 4, "output_layers": 1},
    "gemnet": {"atom_features": 4, "edge_features": 4, "triplet_features": 3, "bilinear_features": 3, "atom_layers": 1},
}
QUICK = {"xla_backend_optimization_level": 0}


@pytest.mark.parametrize("name", NARROW)
def test_receptive_field_is_as_declared(name):
    """In a zigzag chain of neighbours only, an atom feels exactly the atoms within its receptive field."""
    config = dataclasses.replace(MODELS[name], blocks=1, n_spherical=3, n_basis=2, cutoff=1.6, **NARROW[name])
    steps = round(config.receptive_field / config.cutoff)
    n = steps + 3
    positions = np.array([[1.2 * i, 0.3 * (-1) ** i, 0.1 * i * i / n] for i in range(n)])
    graph = pack([(np.arange(n) % 3, positions)], config.cutoff, incoming=0)
    assert len(graph.senders) == 2 * (n - 1)
    potential = build_potential(config, NORMALISATION)
    params = jax.jit(potential.init, compiler_options=QUICK)(jax.random.key(0), graph)

    def first(positions):
        return potential.node_energies(params, graph, positions)[0]

    gradient = jax.jit(jax.grad(first), compiler_options=QUICK)(jnp.asarray(graph.nodes["positions"]))
    felt = np.flatnonzero(np.abs(np.asarray(gradient)[:n]).max(axis=1))
    assert felt.tolist() == list(range(steps + 1))


@pytest.mark.parametrize("fitted", [True, False])
def test_scale_factor_starts_with_the_variance_of_the_real_rows(fitted):
    rng = np.random.default_rng(0)
    x, reference = rng.normal(2.0, 5.0, (40, 3)), rng.normal(0.0, 0.5, (60, 3))
    rows, reference_rows = np.arange(40) < 30, np.arange(60) < 50
    x[30:], reference[50:] = 1e4, -1e4
    module = ScaleFactor(fitted, analytic=0.25)
    y, variables = module.init_with_output(jax.random.key(0), *map(jnp.asarray, (x, reference, rows, reference_rows)))
    expected = np.sqrt(reference[:50].var(axis=0).mean() / x[:30].var(axis=0).mean()) if fitted else 0.25
    np.testing.assert_allclose(variables["params"]["scale"], expected, rtol=1e-5)
    np.testing.assert_allclose(y, expected * x, rtol=1e-5)


def test_scale_factor_of_nothing_is_analytic():
    x = jnp.zeros((4, 2))
    variables = ScaleFactor(True, analytic=0.25).init(jax.random.key(0), x, x, jnp.zeros(4, bool), jnp.zeros(4, bool))
    assert float(variables["params"]["scale"]) == pytest.approx(0.25)


def test_fitted_scales_keep_gemnets_energies_of_the_order_of_one():
    config = dataclasses.replace(MODELS["gemnet"], **NARROW["gemnet"])
    graph = pack([molecule(8, 0), molecule(7, 1)], config.cutoff, incoming=0)
    potential = build_potential(config, dataclasses.replace(NORMALISATION, scale=1.0))
    params = jax.jit(potential.init, compiler_options=QUICK)(jax.random.key(0), graph)
    energies = jax.jit(potential.node_energies, compiler_options=QUICK)(params, graph)[:15]
    assert 0.05 < np.std(energies) < 20
