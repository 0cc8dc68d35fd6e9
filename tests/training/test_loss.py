import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_store import EPSILON, PairConfig, make_split, make_store

from compbench_jax.models.registry import build_potential
from compbench_jax.training.data import build_data, normalisation_of
from compbench_jax.training.loss import LossSums, error_terms, loss_sums
from compbench_jax.training.settings import LossSettings

loss_sums = jax.jit(loss_sums, static_argnums=3)


@pytest.fixture(scope="module")
def batch_and_frames(tmp_path_factory):
    store = make_store(tmp_path_factory.mktemp("store"), (2, 3, 5, 7))
    split = make_split(store)
    normalisation = normalisation_of(store.gather(split.train), 7.0)
    train = build_data(store, split, normalisation, 7.0, 4, 0).train
    item = train.epoch(0, 0)[0]
    return train.batch(item), store.gather(split.train[item.indices]), normalisation


def test_sums_against_numpy_by_hand(batch_and_frames):
    graph, frames, normalisation = batch_and_frames
    rng = np.random.default_rng(0)
    energy = rng.normal(size=graph.n_node.shape).astype(np.float32)
    forces = rng.normal(size=graph.nodes["forces"].shape).astype(np.float32)
    sums = loss_sums(jnp.asarray(energy), jnp.asarray(forces), graph)

    reference = dict(zip(normalisation.elements, normalisation.reference_energies, strict=True))
    energy_total, force_total, start = 0.0, 0.0, 0
    for i in range(frames.n_frames):
        atoms = slice(frames.offsets[i], frames.offsets[i + 1])
        target = frames.energy[i] - sum(reference[int(z)] for z in frames.numbers[atoms])
        energy_total += abs(float(energy[i]) - target)
        for row, known in enumerate(frames.forces[atoms]):
            force_total += np.sqrt(sum((float(forces[start + row, k]) - float(known[k])) ** 2 for k in range(3)))
        start += atoms.stop - atoms.start
    assert float(sums.graphs) == frames.n_frames
    assert float(sums.atoms) == len(frames.numbers) < len(forces)
    np.testing.assert_allclose(float(sums.energy), energy_total, rtol=1e-4)
    np.testing.assert_allclose(float(sums.force), force_total, rtol=1e-5)
    expected = 4 * energy_total / frames.n_frames + 100 * force_total / len(frames.numbers)
    np.testing.assert_allclose(float(sums.loss(LossSettings())), expected, rtol=1e-5)


def test_padding_counts_nothing_whatever_stands_there(batch_and_frames):
    graph, frames, _ = batch_and_frames
    energy, forces = np.zeros(graph.n_node.shape, np.float32), np.zeros(graph.nodes["forces"].shape, np.float32)
    clean = loss_sums(jnp.asarray(energy), jnp.asarray(forces), graph)
    energy[frames.n_frames :], forces[len(frames.numbers) :] = np.nan, np.inf
    np.testing.assert_array_equal(clean, loss_sums(jnp.asarray(energy), jnp.asarray(forces), graph))


def test_gradient_is_finite_where_the_prediction_is_exact(batch_and_frames):
    graph, _, _ = batch_and_frames
    forces = jnp.asarray(graph.nodes["forces"])
    energy = jnp.asarray(graph.globals["energy"])
    settings = LossSettings()
    gradient = jax.jit(jax.grad(lambda e, f: loss_sums(e, f, graph).loss(settings), argnums=(0, 1)))(energy, forces)
    assert all(bool(jnp.isfinite(g).all()) for g in gradient)
    assert float(jnp.abs(gradient[1]).max()) == 0.0


def test_gradient_through_the_potential_is_finite_at_padding(batch_and_frames):
    graph, _, normalisation = batch_and_frames
    potential = build_potential(PairConfig(start=1.0), normalisation)
    params = jax.jit(potential.init)(jax.random.key(0), graph)
    assert np.isclose(float(params["params"]["epsilon"]), EPSILON)

    def loss(params):
        return loss_sums(*potential.energy_and_forces(params, graph), graph).loss(LossSettings())

    gradient = jax.jit(jax.grad(loss))(params)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))


def test_sums_add_up_and_an_empty_batch_has_loss_zero():
    one = LossSums(*(jnp.float32(x) for x in (2.0, 6.0, 4.0, 12.0, 2.0, 6.0)))
    both = one + one + LossSums.zero()
    assert [float(x) for x in both] == [4.0, 12.0, 8.0, 24.0, 4.0, 12.0]
    assert float(both.energy_mae()) == float(both.force_mae()) == 0.5
    assert float(LossSums.zero().loss(LossSettings())) == 0.0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("mae", [0.5, 0.1, 0.0, 3.0]), ("mse", [0.25, 0.01, 0.0, 9.0]), ("huber", [0.16, 0.01, 0.0, 1.16])],
)
def test_errors_of_each_kind(kind, expected):
    terms = error_terms(jnp.array([0.5, -0.1, 0.0, -3.0]), kind, 0.2)
    np.testing.assert_allclose(terms, expected, rtol=1e-6)


@pytest.mark.parametrize("force", ["l2-mae", "mae", "mse", "huber"])
@pytest.mark.parametrize(("energy", "per"), [("mae", "atom"), ("mse", "molecule"), ("huber", "atom")])
def test_other_losses_against_numpy_by_hand(batch_and_frames, force, energy, per):
    graph, frames, _ = batch_and_frames
    rng = np.random.default_rng(1)
    energies = rng.normal(size=graph.n_node.shape).astype(np.float32)
    forces = rng.normal(size=graph.nodes["forces"].shape).astype(np.float32)
    settings = LossSettings(2.0, 3.0, energy, force, per, huber_delta=0.5)

    def term(x, kind):
        x = abs(float(x))
        return {"mae": x, "mse": x**2, "huber": x**2 if x < 0.5 else x - 0.25}[kind]

    sizes = frames.n_atoms if per == "atom" else np.ones(frames.n_frames)
    errors = (energies - graph.globals["energy"])[: frames.n_frames]
    energy_term = np.mean([term(e / n, energy) for e, n in zip(errors, sizes, strict=True)])
    error = (forces - graph.nodes["forces"])[: len(frames.numbers)].astype(float)
    lengths = np.linalg.norm(error, axis=1)
    each = lengths if force == "l2-mae" else [np.mean([term(x, force) for x in row]) for row in error]
    sums = loss_sums(jnp.asarray(energies), jnp.asarray(forces), graph, settings)
    np.testing.assert_allclose(float(sums.loss(settings)), 2 * energy_term + 3 * np.mean(each), rtol=1e-5)
    np.testing.assert_allclose(float(sums.force_mae()), lengths.mean(), rtol=1e-5)
    gradient = jax.grad(lambda f: loss_sums(jnp.asarray(energies), f, graph, settings).loss(settings))(
        graph.nodes["forces"]
    )
    assert np.isfinite(gradient).all()
