"""The contract of every potential in the registry: symmetries, batching, forces, smoothness, finite derivatives.

A new potential is tested by being in ``MODELS``, and its option ``direct_forces`` by being in ``DIRECT``. Everything is
in float64 and in batches of one shape, so that each potential is compiled once for energies and forces, and once for
the gradient of a training loss.
"""

import dataclasses
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.models.registry import MODELS, build_potential

DIRECT = {f"{name}-direct": name for name in ("painn", "gemnet", "equiformer_v2")}
"""Potentials that can predict their forces, by the name of that variant here: those forces must be no gradient."""

CHIRAL = {"equiformer_v2", "equiformer_v2-direct", "equiformer_v2-paper"}
"""Potentials that commute with rotations but, by their construction, not with reflections (SO(2) convolutions)."""

LONG_RANGE = {"so3lr"}
"""Potentials whose atoms act on all others of a molecule: neither extensive, since they share a charge, nor cut off."""

_SLIM = {"n_spherical": 4, "n_basis": 3, "triplet_features": 4}
_SLIM_GEMNET = _SLIM | {"radial_features": 4, "circular_features": 4, "atom_layers": 1}

_SLIM_EQUIFORMER = {
    "channels": 4,
    "attention_channels": 4,
    "heads": 2,
    "alpha_channels": 4,
    "value_channels": 2,
    "ffn_channels": 4,
    "edge_channels": 4,
    "n_basis": 12,
    "grid_resolution": 18,  # Energies turn with a molecule to 1e-9 if the grid of the S² activation is fine enough.
    "direct_forces": False,
}

TINY = {
    "schnet": {"features": 8, "interactions": 2, "n_basis": 12},
    "painn": {"features": 8, "interactions": 2, "n_basis": 8},
    "schnet-paper": {"features": 8, "filters": 4, "interactions": 2, "n_basis": 12},
    "painn-paper": {"features": 4, "interactions": 2, "n_basis": 8, "direct_forces": False},
    "mace": {"channels": 4, "radial_mlp": (8,), "readout": 4},
    "mace-paper": {"channels": 2, "radial_mlp": (8,), "readout": 4},
    "nequip": {"channels": 4, "layers": 2, "radial_mlp": (8,)},
    "nequip-paper": {"channels": 2, "radial_mlp": (8,)},
    "equiformer_v2": _SLIM_EQUIFORMER,
    "equiformer_v2-paper": _SLIM_EQUIFORMER | {"layers": 3, "cutoff": 5.0, "grid_resolution": 32},
    "dimenet": _SLIM | {"features": 8, "blocks": 2, "basis_features": 4, "output_features": 8, "output_layers": 1},
    "dimenet-paper": _SLIM | {"features": 4, "basis_features": 2, "output_features": 4},
    "so3lr": {"features": 8, "layers": 2, "l_max": 2, "n_basis": 8},
    "gemnet": _SLIM_GEMNET | {"atom_features": 8, "edge_features": 8, "bilinear_features": 6},
    "gemnet-paper": _SLIM_GEMNET
    | {"atom_features": 4, "edge_features": 4, "bilinear_features": 4, "blocks": 4, "cutoff": 5.0}
    | {"direct_forces": False},
}
"""Widths that keep the suite fast; the code is the same at every width. Presets not listed are tested as they are."""

NODES, EDGES, GRAPHS, INCOMING = 18, 150, 4, 8
"""Sizes of every batch of the suite; the last, edges that end at a node, for potentials with triplets."""

QUICK = {"xla_backend_optimization_level": 0}
"""Compiling takes longer than running here."""

SLOW = [name for name in MODELS if name.endswith("-paper") or name in LONG_RANGE]
"""Run before a release: the same code at more layers, and a potential that takes a minute to compile."""

SMALL = [name for name in MODELS if name not in SLOW]

pytestmark = pytest.mark.parametrize(
    "name", [*SMALL, *DIRECT, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


class ModelUnderTest:
    """A potential with random parameters in float64, compiled for the one shape."""

    def __init__(self, name):
        base = DIRECT.get(name, name)
        config = dataclasses.replace(MODELS[base], **TINY.get(base, {}))
        if name in DIRECT:
            config = dataclasses.replace(config, direct_forces=True)
        self.potential = build_potential(config, NORMALISATION)
        self.cutoff = config.cutoff
        self.incoming = INCOMING if self.potential.triplets else None
        params = jax.jit(self.potential.init, compiler_options=QUICK)(jax.random.key(1), self.batch([molecule(5, 0)]))
        self.params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        self._compiled = jax.jit(self.potential.energy_and_forces, compiler_options=QUICK)

        def loss(params, graph):
            energy, forces = self.potential.energy_and_forces(params, graph)
            real = graph.globals["frame"] >= 0
            atoms = jnp.arange(NODES) < jnp.sum(jnp.where(real, graph.n_node, 0))
            return jnp.sum(jnp.where(real, energy, 0) ** 2) + jnp.sum(jnp.where(atoms[:, None], forces, 0) ** 2)

        self.loss_gradient = jax.jit(jax.grad(loss), compiler_options=QUICK)

    def batch(self, molecules, garbage=0.0):
        """Molecules packed to the sizes of the suite."""
        bare = pack(molecules, self.cutoff)
        n_node, n_edge = len(bare.nodes["species"]) - 1, len(bare.senders)
        padding = (NODES - n_node, EDGES - n_edge, GRAPHS - len(molecules))
        assert min(padding) >= 0 and padding[0] >= 1 and padding[2] >= 1
        settings = {"dtype": np.float64, "garbage": garbage, "incoming": self.incoming}
        return pack(molecules, self.cutoff, padding=padding, **settings)

    def __call__(self, *molecules, garbage=0.0):
        """Energies of the molecules and their forces, each a NumPy array."""
        energy, forces = self._compiled(self.params, self.batch(list(molecules), garbage=garbage))
        stops = np.cumsum([len(positions) for _, positions in molecules])
        return np.asarray(energy)[: len(molecules)], np.split(np.asarray(forces)[: stops[-1]], stops[:-1])


@lru_cache
def subject(name):
    return ModelUnderTest(name)


def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def test_forces_depend_on_geometry(name):
    """Guards the others: a potential that answers nothing would pass most of them."""
    energy, (forces,) = subject(name)(molecule(8, 0))
    assert np.isfinite(energy).all()
    assert np.abs(forces).max() > 1e-3


def test_rotation(name):
    species, positions = molecule(8, 0)
    energy, (forces,) = subject(name)((species, positions))
    turn = rotation(3)
    turned_energy, (turned_forces,) = subject(name)((species, positions @ turn.T))
    np.testing.assert_allclose(turned_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(turned_forces, forces @ turn.T, atol=1e-9)


def test_inversion(name):
    species, positions = molecule(8, 0)
    energy, (forces,) = subject(name)((species, positions))
    inverted_energy, (inverted_forces,) = subject(name)((species, -positions))
    if name in CHIRAL:
        assert abs(inverted_energy[0] - energy[0]) > 1e-6
        return
    np.testing.assert_allclose(inverted_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(inverted_forces, -forces, atol=1e-9)


def test_translation(name):
    species, positions = molecule(8, 0)
    energy, (forces,) = subject(name)((species, positions))
    moved_energy, (moved_forces,) = subject(name)((species, positions + [3.0, -7.0, 11.0]))
    np.testing.assert_allclose(moved_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(moved_forces, forces, atol=1e-9)


def test_no_net_force_or_torque(name):
    species, positions = molecule(8, 0)
    _, (forces,) = subject(name)((species, positions))
    if name in DIRECT:
        assert np.abs(forces.sum(axis=0)).max() > 1e-3
        return
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cross(positions, forces).sum(axis=0), 0, atol=1e-9)


def test_permutation(name):
    species, positions = molecule(8, 0)
    energy, (forces,) = subject(name)((species, positions))
    order = np.random.default_rng(0).permutation(8)
    permuted_energy, (permuted_forces,) = subject(name)((species[order], positions[order]))
    np.testing.assert_allclose(permuted_energy, energy, rtol=1e-9)
    np.testing.assert_allclose(permuted_forces, forces[order], atol=1e-9)


def test_elements_matter(name):
    species, positions = molecule(8, 0)
    changed = species.copy()
    changed[0] = (changed[0] + 1) % 3
    assert abs(subject(name)((species, positions))[0] - subject(name)((changed, positions))[0]) > 1e-4


def test_batched_equals_single(name):
    molecules = [molecule(7, 1), molecule(4, 2), molecule(5, 3)]
    energies, forces = subject(name)(*molecules)
    for i, single in enumerate(molecules):
        energy, (force,) = subject(name)(single)
        np.testing.assert_allclose(energies[i], energy[0], rtol=1e-10)
        np.testing.assert_allclose(forces[i], force, atol=1e-10)


def test_padding_changes_nothing(name):
    """Neither the positions of padding nodes, nor how many nodes, edges and graphs of padding there are."""
    potential, params = subject(name).potential, subject(name).params
    single = molecule(5, 0)
    energy, (forces,) = subject(name)(single)
    garbage_energy, (garbage_forces,) = subject(name)(single, garbage=50.0)
    np.testing.assert_array_equal(garbage_energy, energy)
    np.testing.assert_array_equal(garbage_forces, forces)
    incoming = None if subject(name).incoming is None else 0
    bare = pack([single], subject(name).cutoff, dtype=np.float64, incoming=incoming)
    bare_energy = jax.jit(potential.energy, compiler_options=QUICK)(params, bare)
    np.testing.assert_allclose(bare_energy[:1], energy, rtol=1e-10)


def test_forces_are_minus_the_gradient(name):
    """Central differences of fourth order; step 5e-4 Å."""
    species, positions = molecule(5, 4)
    _, (forces,) = subject(name)((species, positions))
    step, expected = 5e-4, np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        values = {}
        for k in (-2, -1, 1, 2):
            moved = positions.copy()
            moved[index] += k * step
            values[k] = subject(name)((species, moved))[0][0]
        expected[index] = -(8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
    if name in DIRECT:
        assert np.abs(forces - expected).max() > 1e-3
        return
    np.testing.assert_allclose(forces, expected, atol=1e-6 * max(1, np.abs(forces).max()))


def test_energy_is_extensive(name):
    """Two molecules 100 Å apart in one graph have the sum of their energies."""
    (species1, positions1), (species2, positions2) = molecule(7, 1), molecule(5, 2)
    both = np.concatenate([species1, species2]), np.concatenate([positions1, positions2 + [100.0, 0, 0]])
    energy, (forces,) = subject(name)(both)
    energies, separate = subject(name)((species1, positions1), (species2, positions2))
    if name in LONG_RANGE:
        assert abs(energy[0] - energies.sum()) > 1e-6
        return
    np.testing.assert_allclose(energy, energies.sum(), rtol=1e-9)
    np.testing.assert_allclose(forces, np.concatenate(separate), atol=1e-9)


def test_smooth_at_the_cutoff(name):
    """Energy and forces are continuous as an atom leaves the cutoff of all others, edges included or not."""
    species, positions = molecule(5, 6)
    cutoff = subject(name).cutoff
    positions = positions - positions[0]
    far = positions[np.argmax(positions[:, 0])]

    def at(distance):
        """One more atom beyond the rightmost one, which is the only one within reach."""
        return subject(name)((np.append(species, 1), np.vstack([positions, far + [distance, 0, 0]])))

    margin = 1e-5
    (inside, (inner,)), (outside, (outer,)) = at(cutoff - margin), at(cutoff + margin)
    nearby, (near,) = at(cutoff - 1.0)
    assert abs(nearby[0] - outside[0]) > 1e-6, "the atom does not interact at all: the test would prove nothing"
    if name in LONG_RANGE:  # the energy changes on both sides, by the work of a continuous force
        inside = inside - margin * (inner + outer)[-1, 0]
    np.testing.assert_allclose(inside, outside, atol=1e-9)
    np.testing.assert_allclose(inner, outer, atol=1e-4 * max(np.abs(near - outer).max(), 1e-9))


def test_isolated_atom(name):
    """A graph without edges has a finite energy, no forces, and finite gradients of a training loss."""
    atom = np.array([1]), np.zeros((1, 3))
    energy, (forces,) = subject(name)(atom)
    assert np.isfinite(energy).all()
    np.testing.assert_array_equal(forces, 0)
    gradient = subject(name).loss_gradient(subject(name).params, subject(name).batch([atom]))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_training_gradient_is_finite_and_blind_to_padding(name):
    """The second derivatives too: no NaN from padding edges of length zero, and no contribution."""
    molecules = [molecule(7, 1), molecule(4, 2)]
    gradient = subject(name).loss_gradient(subject(name).params, subject(name).batch(molecules))
    other = subject(name).loss_gradient(subject(name).params, subject(name).batch(molecules, garbage=50.0))
    leaves = jax.tree.leaves(gradient)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert max(np.abs(leaf).max() for leaf in leaves) > 0
    for leaf, same in zip(leaves, jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(leaf, same, rtol=1e-12, atol=1e-12)


def test_training_gradient_is_the_derivative_of_the_loss(name):
    """Along a random direction in the space of parameters, against central differences of fourth order."""
    batch = subject(name).batch([molecule(7, 1), molecule(4, 2)])
    n_atoms = 11

    def loss(params):
        energy, forces = subject(name)._compiled(params, batch)
        return float(jnp.sum(energy[:2] ** 2) + jnp.sum(forces[:n_atoms] ** 2))

    params, rng = subject(name).params, np.random.default_rng(0)
    direction = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)
    gradient = subject(name).loss_gradient(params, batch)
    slope = sum(
        float(jnp.vdot(a, b)) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    )
    step = 1e-5
    at = {k: loss(jax.tree.map(lambda p, d, k=k: p + k * step * d, params, direction)) for k in (-2, -1, 1, 2)}
    expected = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_input_is_untouched(name):
    batch = subject(name).batch([molecule(7, 1)])
    copies = [np.array(leaf) for leaf in jax.tree.leaves(batch)]
    subject(name)._compiled(subject(name).params, batch)
    for before, after in zip(copies, jax.tree.leaves(batch), strict=True):
        np.testing.assert_array_equal(before, after)
