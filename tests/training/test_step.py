import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_store import PairConfig, make_configuration, make_split, make_store

from compbench_jax.models.potential import Potential
from compbench_jax.models.registry import build_potential
from compbench_jax.training.configuration import OptimiserSettings
from compbench_jax.training.data import build_data, normalisation_of
from compbench_jax.training.loss import loss_sums
from compbench_jax.training.optimiser import make_optimiser
from compbench_jax.training.state import initial_state, state_template
from compbench_jax.training.step import make_train_step


class Instrumented(Potential):
    """Counts how often it is traced; has an infinite derivative where a batch asks for it.

    It adds the constant 1, or √0 if the last (padding) energy of the batch is 1.
    """

    traces = 0

    def energy_and_forces(self, params, graph):
        Instrumented.traces += 1
        energy, forces = super().energy_and_forces(params, graph)
        flag, shift = graph.globals["energy"][-1], params["params"]["shift"][0]
        return energy + jnp.sqrt((shift - jax.lax.stop_gradient(shift)) * flag + (1 - flag)), forces


class Setup:
    """One compiled step for all tests here: compiling it is what takes time."""

    def __init__(self, folder):
        store = make_store(folder)
        split = make_split(store)
        normalisation = normalisation_of(store.gather(split.train), 7.0)
        data = build_data(store, split, normalisation, 7.0, 4, 8)
        settings = OptimiserSettings(learning_rate=0.01, clip_norm=1e9)
        self.configuration = make_configuration(store, optimiser=settings)
        plain = build_potential(PairConfig(), normalisation)
        self.potential = Instrumented(plain.module, plain.normalisation, plain.cutoff)
        self.optimiser = make_optimiser(settings, self.configuration.steps)
        self.batches = [jax.device_put(data.train.batch(item)) for item in data.train.epoch(0, 0)]
        self.params = jax.jit(self.potential.init)(jax.random.key(1), self.batches[0])
        self.step = make_train_step(self.potential, self.optimiser, self.configuration)

    def begin(self):
        return initial_state(jax.tree.map(jnp.copy, self.params), self.optimiser)


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return Setup(tmp_path_factory.mktemp("store"))


def with_energy(graph, index, value):
    return graph._replace(globals={**graph.globals, "energy": graph.globals["energy"].at[index].set(value)})


def test_it_compiles_once_for_all_batches_of_a_shape(setup):
    state, before = setup.begin(), Instrumented.traces
    assert len({graph.nodes["forces"].shape for graph in setup.batches}) == 1
    for graph in setup.batches:
        state, _ = setup.step(state, graph)
    assert Instrumented.traces == before + 1


def test_step_equals_the_same_written_out(setup):
    state = setup.begin()
    params, average, opt_state = state.params, state.ema, state.opt_state
    totals, norms = np.zeros(4), 0.0

    @jax.jit
    def gradients(params, graph):
        def loss(params):
            sums = loss_sums(*setup.potential.energy_and_forces(params, graph), graph)
            return sums.loss(setup.configuration.loss), sums

        return jax.value_and_grad(loss, has_aux=True)(params)

    for t, graph in enumerate(setup.batches[:3], start=1):
        (_, sums), gradient = gradients(params, graph)
        updates, opt_state = setup.optimiser.update(gradient, opt_state, params)
        params = optax.apply_updates(params, updates)
        rate = min(setup.configuration.optimiser.ema_decay, (1 + t) / (10 + t))
        average = jax.tree.map(lambda a, p, r=rate: r * a + (1 - r) * p, average, params)
        totals += np.array(sums)
        norms += float(optax.tree.norm(gradient))

    state = setup.begin()
    for graph in setup.batches[:3]:
        state, (interval, bad_step) = setup.step(state, graph)
    assert (int(state.step), int(bad_step)) == (3, 0)
    for got, expected in ((state.params, params), (state.ema, average), (interval.losses, tuple(totals))):
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5)
    assert float(interval.gradient_norm) == pytest.approx(norms, rel=1e-4)
    assert float(interval.steps) == 3


def test_the_interval_starts_anew_after_a_line_of_the_log(setup):
    state, counts = setup.begin(), []
    for graph in setup.batches[: 2 * setup.configuration.watch.log_every + 1]:
        state, (interval, _) = setup.step(state, graph)
        counts.append(int(interval.steps))
    assert counts == [1, 2, 3, 4, 1, 2, 3, 4, 1]


@pytest.mark.parametrize(("where", "index", "value"), [("loss", 0, jnp.nan), ("gradient", -1, 1.0)])
def test_a_step_that_is_not_finite_changes_nothing_and_is_remembered(setup, where, index, value):
    state = setup.begin()
    for graph in setup.batches[:2]:
        state, _ = setup.step(state, graph)
    before = jax.tree.map(np.array, state)
    state, (_, bad_step) = setup.step(state, with_energy(setup.batches[2], index, value))
    assert int(bad_step) == 3
    for graph in setup.batches[3:6]:
        state, (_, bad_step) = setup.step(state, graph)
    assert int(bad_step) == 3
    after = jax.tree.map(np.array, state._replace(bad_step=before.bad_step))
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a, b)


def test_template_has_the_shapes_of_the_state(setup):
    state = setup.begin()
    template = state_template(state.params, setup.optimiser)
    assert jax.tree.structure(template) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(template), jax.tree.leaves(state), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
