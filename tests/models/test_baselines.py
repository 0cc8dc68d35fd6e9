"""The contract of the baselines, as far as it holds for each, and their fits."""

import dataclasses
from functools import lru_cache

import bonded_molecules as made
import jax
import numpy as np
import pytest
from bonded_molecules import ETHANE, GRAPHS, PROPANOL, WATER, geometry

from compbench_jax.errors import DataError
from compbench_jax.models.baselines import classical_fit, nearest
from compbench_jax.models.baselines.classical import LEVELS, N_FUNCTIONS
from compbench_jax.models.baselines.fit import fit_baseline
from compbench_jax.models.potential import Normalisation
from compbench_jax.models.registry import BASELINES, build_potential, n_parameters
from compbench_jax.models.summary import hexane

NORMALISATION = Normalisation(made.ELEMENTS, made.REFERENCE, 1.3, 7.5)
CHANGES = {"nearest": {"n_basis": 6, "neighbours": 2}, "classical": {"cutoff": 4.0}}
QUICK = {"xla_backend_optimization_level": 0}
CONSERVATIVE = [name for name in BASELINES if not hasattr(BASELINES[name], "direct_forces")]
SENSITIVE = [name for name in BASELINES if name != "composition"]
ALL = pytest.mark.parametrize("name", BASELINES)


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


class ModelUnderTest:
    """A baseline fitted to random labels, compiled for one shape."""

    def __init__(self, name):
        rng = np.random.default_rng(0)
        self.config = dataclasses.replace(BASELINES[name], **CHANGES.get(name, {}))
        self.potential = build_potential(self.config, NORMALISATION)
        structures = [(molecule, geometry(molecule, seed)) for molecule in GRAPHS for seed in range(4)]
        forces = [rng.normal(size=positions.shape) for _, positions in structures]
        energy = rng.normal(size=len(structures))
        self.train = made.dataset(structures, self.config.cutoff, energy=energy, forces=forces)
        self.params, self.line = fit_baseline(self.config, NORMALISATION, self.train, self.train)
        self.compiled = jax.jit(self.potential.energy_and_forces, compiler_options=QUICK)

    def __call__(self, *structures):
        """Energies, and forces of each structure."""
        data = made.dataset(list(structures), self.config.cutoff)
        item = data.sequential()[0]
        assert len(data.sequential()) == 1
        energy, forces = (np.asarray(x) for x in self.compiled(self.params, data.batch(item)))
        parts = np.split(forces[: len(data.species)], data.frames.offsets[1:-1])
        order = np.argsort(item.indices)
        stops = np.cumsum([structures[i][0].n_atoms for i in item.indices])
        parts = np.split(forces[: stops[-1]], stops[:-1])
        return energy[: len(structures)][order], [parts[i] for i in order]


@lru_cache
def subject(name):
    return ModelUnderTest(name)


PROBE = (PROPANOL, geometry(PROPANOL, 11))


def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


@pytest.mark.parametrize("name", SENSITIVE)
def test_forces_depend_on_geometry(name):
    _, (forces, others) = subject(name)(PROBE, (PROPANOL, geometry(PROPANOL, 12)))
    assert np.abs(forces).max() > 1e-3
    assert np.abs(forces - others).max() > 1e-3


@ALL
@pytest.mark.parametrize("turn", [rotation(3), -np.eye(3)], ids=["rotation", "inversion"])
def test_rotation_and_inversion(name, turn):
    energy, (forces,) = subject(name)(PROBE)
    turned_energy, (turned_forces,) = subject(name)((PROPANOL, PROBE[1] @ turn.T))
    np.testing.assert_allclose(turned_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(turned_forces, forces @ turn.T, atol=1e-7)


@ALL
def test_translation(name):
    energy, (forces,) = subject(name)(PROBE)
    moved_energy, (moved_forces,) = subject(name)((PROPANOL, PROBE[1] + [3.0, -7.0, 11.0]))
    np.testing.assert_allclose(moved_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(moved_forces, forces, atol=1e-8)


@ALL
def test_permutation(name):
    energy, (forces,) = subject(name)(PROBE)
    order = np.random.default_rng(0).permutation(PROPANOL.n_atoms)
    permuted_energy, (permuted_forces,) = subject(name)((made.permuted(PROPANOL, order), PROBE[1][order]))
    np.testing.assert_allclose(permuted_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(permuted_forces, forces[order], atol=1e-8)


@ALL
def test_batched_equals_single(name):
    structures = [PROBE, (WATER, geometry(WATER, 21)), (ETHANE, geometry(ETHANE, 22))]
    energies, forces = subject(name)(*structures)
    for i, single in enumerate(structures):
        energy, (force,) = subject(name)(single)
        np.testing.assert_allclose(energies[i], energy[0], rtol=1e-9)
        np.testing.assert_allclose(forces[i], force, atol=1e-9)


@ALL
def test_energy_is_extensive(name):
    far = (WATER, geometry(WATER, 21) + [100.0, 0, 0])
    energies, forces = subject(name)(PROBE, far)
    energy, (force,) = subject(name)((made.joined(PROPANOL, WATER), np.concatenate([PROBE[1], far[1]])))
    np.testing.assert_allclose(energy, energies.sum(), rtol=1e-9)
    np.testing.assert_allclose(force, np.concatenate(forces), atol=1e-8)


@pytest.mark.parametrize("name", CONSERVATIVE)
def test_forces_are_minus_the_gradient(name):
    _, (forces,) = subject(name)(PROBE)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-8)
    step = 1e-4
    for index in [(0, 0), (2, 1), (3, 2), (5, 0)]:
        moved = [PROBE[1].copy() for _ in range(2)]
        moved[0][index] += step
        moved[1][index] -= step
        energies, _ = subject(name)(*((PROPANOL, positions) for positions in moved))
        expected = -(energies[0] - energies[1]) / (2 * step)
        np.testing.assert_allclose(forces[index], expected, atol=1e-5 * max(1, np.abs(forces).max()))


def test_classical_pairs_are_smooth_at_the_cutoff():
    both = made.joined(WATER, WATER)
    water, cutoff = geometry(WATER, 5), subject("classical").config.cutoff
    right, left = water[:, 0].max(), water[:, 0].min()

    def at(gap):
        return subject("classical")((both, np.concatenate([water, water + [right - left + gap, 0, 0]])))

    (inside, (inner,)), (outside, (outer,)), (near, _) = at(cutoff - 1e-5), at(cutoff + 1e-5), at(cutoff - 1.0)
    assert abs(near[0] - outside[0]) > 1e-8
    np.testing.assert_allclose(inside, outside, atol=1e-9)
    np.testing.assert_allclose(inner, outer, atol=1e-7)


def test_nearest_remembers_its_training_frames():
    """With one neighbour, a training frame that is turned gets its own forces, turned."""
    config = dataclasses.replace(BASELINES["nearest"], n_basis=6, neighbours=1)
    params, line = fit_baseline(config, NORMALISATION, subject("nearest").train, subject("nearest").train)
    assert line == "60 training atoms remembered"
    potential, turn = build_potential(config, NORMALISATION), rotation(4)
    frames = subject("nearest").train.frames
    own = slice(0, PROPANOL.n_atoms)
    data = made.dataset([(PROPANOL, frames.positions[own] @ turn.T)], config.cutoff)
    _, forces = jax.jit(potential.energy_and_forces, compiler_options=QUICK)(params, data.batch(data.sequential()[0]))
    # The two ends of a bond alone leave a direction undetermined: compare where the surroundings fix all three.
    inner = [1, 2]
    np.testing.assert_allclose(np.asarray(forces)[inner], (frames.forces[own] @ turn.T)[inner], atol=1e-4)


def test_nearest_gives_an_isolated_atom_no_force():
    alone = made.graph([6], [])
    energy, (forces,) = subject("nearest")((alone, np.zeros((1, 3))))
    assert np.isfinite(energy).all()
    np.testing.assert_allclose(forces, 0, atol=1e-9)


def test_nearest_decomposes_matrices_at_one_place(monkeypatch):
    """Whatever the number of atoms: two places at once can wait for each other's threads for ever."""
    monkeypatch.setattr(nearest, "AT_ONCE", 7)
    fitted = subject("nearest")
    data = made.dataset([PROBE] * 3, fitted.config.cutoff)
    batch = data.batch(data.sequential()[0])
    assert data.shape.n_node % 7
    program = jax.jit(fitted.potential.energy_and_forces)
    assert program.lower(fitted.params, batch).as_text().count("call @lapack_") == 1
    found = np.asarray(program(fitted.params, batch)[1])[: PROBE[0].n_atoms]
    np.testing.assert_allclose(found, fitted(PROBE)[1][0], atol=1e-6)


def test_composition_is_least_squares():
    fitted = subject("composition")
    _, (forces,) = fitted(PROBE)
    np.testing.assert_array_equal(forces, 0)
    data = fitted.train
    predicted = [fitted((GRAPHS[i // 4], geometry(GRAPHS[i // 4], 0)))[0][0] for i in range(0, 12, 4)]
    # Three molecules of different composition, three elements: their mean energies are met exactly.
    np.testing.assert_allclose(predicted, data.targets.reshape(3, 4).mean(axis=1), atol=1e-5)


def test_classical_fit_recovers_a_classical_force_field():
    """Labels made by other coefficients of the same form: forces and energies of new frames are met."""
    base, rng = subject("classical"), np.random.default_rng(5)
    teacher = {
        "params": {
            name: 0.3 * rng.normal(size=leaf.shape) if np.issubdtype(leaf.dtype, np.floating) else leaf
            for name, leaf in base.params["params"].items()
        }
    }

    def labelled(seeds):
        structures = [(molecule, geometry(molecule, seed)) for molecule in GRAPHS for seed in seeds]
        sets = [made.dataset([structure], base.config.cutoff) for structure in structures]
        found = [base.compiled(teacher, one.batch(one.sequential()[0])) for one in sets]
        energy = np.array([float(e[0]) for e, _ in found])
        forces = [np.asarray(f)[: s[0].n_atoms] for (_, f), s in zip(found, structures, strict=True)]
        return structures, energy, forces

    structures, energy, forces = labelled(range(100, 140))
    train = made.dataset(structures, base.config.cutoff, energy=energy, forces=forces)
    params, line = fit_baseline(base.config, NORMALISATION, train, train)
    assert "ridge 1e-09" in line
    structures, energy, forces = labelled(range(200, 203))
    for i, (molecule, positions) in enumerate(structures):
        data = made.dataset([(molecule, positions)], base.config.cutoff)
        found_energy, found = base.compiled(params, data.batch(data.sequential()[0]))
        error = np.abs(np.asarray(found)[: molecule.n_atoms] - forces[i]).mean()
        assert error < 0.03 * np.abs(forces[i]).mean()
        assert abs(float(found_energy[0]) - energy[i]) < 1e-3 * np.abs(energy).max()


def test_classical_falls_back_on_coarser_types():
    """An environment never met takes the coarser levels; elements never met together add nothing."""
    fitted = subject("classical")
    known = fitted.params["params"]
    ether = made.graph([6, 8, 6, 1], [(0, 1), (1, 2), (2, 3)])
    structure = (ether, geometry(ether, 3))
    energy, _ = fitted(structure)
    without = {name: np.zeros_like(leaf) if name in ("bond_2", "angle_2") else leaf for name, leaf in known.items()}
    data = made.dataset([structure], fitted.config.cutoff)
    coarse, _ = fitted.compiled({"params": without}, data.batch(data.sequential()[0]))
    np.testing.assert_allclose(coarse[:1], energy, rtol=1e-12)
    # The pairs O–O and the bond O–O are in no training molecule.
    peroxide = made.graph([8, 8], [(0, 1)])
    energy, (forces,) = fitted((peroxide, np.array([[0.0, 0, 0], [1.4, 0, 0]])))
    np.testing.assert_array_equal(energy, 0)
    np.testing.assert_array_equal(forces, 0)


def test_classical_tables_and_parameters():
    known = subject("classical").params["params"]
    for kind, levels in LEVELS.items():
        for level in levels:
            table, coefficients = known[f"{kind}_{level}_types"], known[f"{kind}_{level}"]
            assert coefficients.shape == (classical_fit.n_types(table), N_FUNCTIONS[kind])
            np.testing.assert_array_equal(table, np.swapaxes(table, -1, -2))
            assert table.dtype == np.int32
    reals = sum(leaf.size for leaf in known.values() if leaf.dtype == np.float32)
    assert n_parameters({"params": known}) == reals > 50


@pytest.mark.parametrize("name", ["classical", "nearest"])
def test_frames_without_bonds_are_refused(name):
    bare = dataclasses.replace(subject(name).train, topology=None)
    with pytest.raises(DataError, match="bonds"):
        fit_baseline(subject(name).config, NORMALISATION, bare, bare)


def test_torsion_functions_are_cosines():
    """Of φ, 2φ and 3φ where both angles are right, φ = 0 where the ends are on the same side."""
    from compbench_jax.models.baselines.classical import torsion_functions

    for phi in (0.0, 0.7, 2.0, np.pi):
        vectors = np.array([[[1.0, 0, 0], [0, 0, 1.4], [np.cos(phi), np.sin(phi), 0.0]]])
        found = torsion_functions(vectors, np.zeros((1, 3)))[0]
        np.testing.assert_allclose(found, [np.cos(phi), np.cos(2 * phi), np.cos(3 * phi)], atol=1e-12)


def test_hexane_is_a_molecule():
    frames, molecule = hexane()
    distances = np.linalg.norm(frames.positions[:, None] - frames.positions[None], axis=-1)
    bonded = distances[molecule.bonds[:, 0], molecule.bonds[:, 1]]
    carbon = molecule.numbers[molecule.bonds].sum(axis=1) == 12
    np.testing.assert_allclose(bonded, np.where(carbon, 1.53, 1.09), atol=1e-5)
    assert len(molecule.bonds) == 19
    distances[molecule.bonds[:, 0], molecule.bonds[:, 1]] = distances[molecule.bonds[:, 1], molecule.bonds[:, 0]] = 9
    assert (distances + 9 * np.eye(20)).min() > 1.7
