"""A potential with a prior: the sum of a network and a classical force field, in float64."""

from dataclasses import replace
from functools import lru_cache

import bonded_molecules as made
import jax
import numpy as np
import pytest
from bonded_molecules import GRAPHS, PROPANOL, geometry

from compbench_jax.models.baselines.classical import ClassicalConfig
from compbench_jax.models.baselines.fit import fit_baseline
from compbench_jax.models.potential import PRIOR, Normalisation
from compbench_jax.models.precision import cast_params
from compbench_jax.models.registry import MODELS, build_potential

CUTOFF = 4.0
NORMALISATION = Normalisation(made.ELEMENTS, made.REFERENCE, 1.3, 7.5)
OF_PRIOR = replace(NORMALISATION, scale=2.1)
NETWORKS = {
    "schnet": replace(MODELS["schnet"], cutoff=CUTOFF, features=8, interactions=2, n_basis=4),
    "painn": replace(MODELS["painn"], cutoff=CUTOFF, features=8, interactions=1, n_basis=4, direct_forces=True),
}
PROBES = [(molecule, geometry(molecule, 20 + k)) for k, molecule in enumerate(GRAPHS)]
QUICK = {"xla_backend_optimization_level": 0}
ALL = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


@lru_cache
def subject(name):
    """Network with a prior, and parameters."""
    rng = np.random.default_rng(0)
    structures = [(molecule, geometry(molecule, seed)) for molecule in GRAPHS for seed in range(4)]
    forces = [rng.normal(size=positions.shape) for _, positions in structures]
    data = made.dataset(structures, CUTOFF, energy=rng.normal(size=len(structures)), forces=forces)
    config = ClassicalConfig(cutoff=CUTOFF)
    of_prior, _ = fit_baseline(config, OF_PRIOR, data, data)
    network = build_potential(NETWORKS[name], NORMALISATION)
    params = network.init(jax.random.key(1), data.batch(data.sequential()[0]))
    potential = replace(network, prior=build_potential(config, OF_PRIOR))
    return potential, {**cast_params(params, "float64"), PRIOR: cast_params(of_prior["params"], "float64")}


def batch(structures):
    data = made.dataset(structures, CUTOFF)
    (item,) = data.sequential()
    return data, item, data.batch(item)


def predict(potential, params, structures):
    """Energies and forces of each structure."""
    data, item, graph = batch(structures)
    energy, forces = jax.jit(potential.energy_and_forces, compiler_options=QUICK)(params, graph)
    order, stops = np.argsort(item.indices), np.cumsum(data.frames.n_atoms[item.indices])
    parts = np.split(np.asarray(forces)[: stops[-1]], stops[:-1])
    return np.asarray(energy)[: len(structures)][order], [parts[i] for i in order]


@ALL
def test_the_total_is_network_plus_prior(name):
    potential, params = subject(name)
    assert potential.needs_bonds and not potential.bonded
    network = predict(replace(potential, prior=None), params, PROBES)
    prior = predict(potential.prior, {"params": params[PRIOR]}, PROBES)
    total = predict(potential, params, PROBES)
    np.testing.assert_allclose(total[0], network[0] + prior[0], rtol=1e-14)
    for found, own, more in zip(total[1], network[1], prior[1], strict=True):
        np.testing.assert_allclose(found, own + more, rtol=1e-12, atol=1e-13)
        assert min(np.abs(own).max(), np.abs(more).max()) > 1e-3
    # Energies of the nodes add up to that of the graph.
    _, _, graph = batch(PROBES)
    energy = jax.jit(potential.energy, compiler_options=QUICK)(params, graph)
    np.testing.assert_allclose(np.sort(np.asarray(energy)[:3]), np.sort(total[0]), rtol=1e-12)


def test_forces_are_the_gradient_of_the_energy():
    potential, params = subject("schnet")
    molecule, positions = PROBES[0]
    _, (forces,) = predict(potential, params, [(molecule, positions)])
    step = 1e-4
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        moved = []
        for sign in (1, -1):
            shifted = positions.copy()
            shifted[atom, axis] += sign * step
            moved.append(predict(potential, params, [(molecule, shifted)])[0][0])
        assert forces[atom, axis] == pytest.approx(-(moved[0] - moved[1]) / (2 * step), rel=1e-5, abs=1e-7)


@ALL
def test_rotations_reflections_and_permutations_are_respected(name):
    potential, params = subject(name)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    turn *= -np.sign(np.linalg.det(turn))  # a reflection, too
    order = np.random.default_rng(4).permutation(PROPANOL.n_atoms)
    positions = PROBES[0][1]
    images = [(PROPANOL, positions), (PROPANOL, positions @ turn), (made.permuted(PROPANOL, order), positions[order])]
    energies, (forces, turned, permuted) = predict(potential, params, images)
    np.testing.assert_allclose(energies, energies[0], rtol=1e-12)
    np.testing.assert_allclose(turned, forces @ turn, atol=1e-11)
    np.testing.assert_allclose(permuted, forces[order], atol=1e-11)
