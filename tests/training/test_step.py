import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_store import PairConfig, make_configuration, make_split, make_store

from compbench_jax.models.potential import Potential
from compbench_jax.models.registry import build_potential
from compbench_jax.training.batches import assembled, stack
from compbench_jax.training.data import build_data, normalisation_of
from compbench_jax.training.dispatch import make_program
from compbench_jax.training.loss import loss_sums
from compbench_jax.training.mesh import ALONE
from compbench_jax.training.optimiser import learning_rate, make_optimiser
from compbench_jax.training.settings import OptimiserSettings
from compbench_jax.training.state import initial_state, state_template


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
        settings = OptimiserSettings(name="adam", learning_rate=0.01, clip_norm=1e9)
        self.configuration = make_configuration(store, optimiser=settings)
        plain = build_potential(PairConfig(), normalisation)
        self.potential = Instrumented(plain.module, plain.normalisation, plain.cutoff)
        self.optimiser = make_optimiser(settings)
        self.batches = [jax.device_put(data.train.batch(item)) for item in data.train.epoch(0, 0)]
        self.params = jax.jit(self.potential.init)(jax.random.key(1), self.batches[0])
        self.program = make_program(self.potential, self.optimiser, self.configuration, ALONE, assembled)
        self.shape = data.train.shape

    def begin(self):
        return initial_state([jax.tree.map(jnp.copy, self.params)], self.optimiser)

    def step(self, state, graph):
        """One step, and what it reports of its only member."""
        batches = jax.tree.map(lambda x: x[None, None, None], graph)
        state, reports = self.program(state, (), batches, jnp.int32(1), shape=self.shape)
        return state, jax.tree.map(lambda x: x[0, 0], reports)

    def dispatch(self, state, graphs, count):
        """Several steps of one dispatch."""
        batches = jax.tree.map(lambda x: x[:, None, None], stack(graphs))
        return self.program(state, (), batches, jnp.int32(count), shape=self.shape)


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
    params, average, opt_state = (
        jax.tree.map(lambda x: x[0], getattr(state.members, name)) for name in ("params", "ema", "opt_state")
    )
    totals, norms, lengths = np.zeros(6), 0.0, 0.0
    settings, steps = setup.configuration.optimiser, setup.configuration.steps

    @jax.jit
    def gradients(params, graph):
        def loss(params):
            sums = loss_sums(*setup.potential.energy_and_forces(params, graph), graph)
            return sums.loss(setup.configuration.loss), sums

        return jax.value_and_grad(loss, has_aux=True)(params)

    for t, graph in enumerate(setup.batches[:3], start=1):
        (_, sums), gradient = gradients(params, graph)
        updates, opt_state = setup.optimiser.update(gradient, opt_state, params)
        lr = learning_rate(settings, steps, t - 1, settings.learning_rate)
        updates = jax.tree.map(lambda u, lr=lr: lr * u, updates)
        params = optax.apply_updates(params, updates)
        rate = min(setup.configuration.optimiser.ema_decay, (1 + t) / (10 + t))
        average = jax.tree.map(lambda a, p, r=rate: r * a + (1 - r) * p, average, params)
        totals += np.array(sums)
        norms += float(optax.tree.norm(gradient))
        lengths += float(optax.tree.norm(updates))

    state = setup.begin()
    for graph in setup.batches[:3]:
        state, report = setup.step(state, graph)
    interval, members = report.interval, jax.tree.map(lambda x: x[0], state.members)
    assert (int(state.step), report.bad_steps.tolist()) == (3, [0, 0])
    assert float(report.learning_rate) == pytest.approx(float(lr), rel=1e-6)
    for got, expected in ((members.params, params), (members.ema, average), (interval.losses, tuple(totals))):
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5)
    assert float(interval.update_norm) == pytest.approx(lengths, rel=1e-4)
    assert float(interval.gradient_norm) == pytest.approx(norms, rel=1e-4)
    assert float(interval.steps) == 3


def test_the_interval_starts_anew_after_a_line_of_the_log(setup):
    state, counts = setup.begin(), []
    for graph in setup.batches[: 2 * setup.configuration.watch.log_every + 1]:
        state, report = setup.step(state, graph)
        counts.append(int(report.interval.steps))
    assert counts == [1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_steps_of_one_dispatch_are_the_steps_one_by_one(setup):
    state, expected = setup.begin(), []
    for graph in setup.batches[:3]:
        state, report = setup.step(state, graph)
        expected.append(report)
    together, before = setup.begin(), Instrumented.traces
    together, reports = setup.dispatch(together, setup.batches[:4], 3)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    for k, report in enumerate(expected):
        for a, b in zip(jax.tree.leaves(report), jax.tree.leaves(reports), strict=True):
            np.testing.assert_allclose(a, b[k, 0], rtol=1e-5, atol=1e-6)
    # Fewer steps of a dispatch are the same program.
    traced = Instrumented.traces
    assert traced == before + 1
    again, _ = setup.dispatch(setup.begin(), setup.batches[:4], 1)
    assert (int(again.step), Instrumented.traces) == (1, traced)


@pytest.mark.parametrize(("where", "index", "value"), [("loss", 0, jnp.nan), ("gradient", -1, 1.0)])
def test_a_step_that_is_not_finite_is_skipped_once_and_the_second_stops(setup, where, index, value):
    state = setup.begin()
    for graph in setup.batches[:2]:
        state, _ = setup.step(state, graph)
    before = jax.tree.map(np.array, state.members)
    state, report = setup.step(state, with_energy(setup.batches[2], index, value))
    assert (int(state.step), report.bad_steps.tolist()) == (3, [3, 0])
    assert_same(before, state.members._replace(bad_steps=before.bad_steps))
    state, report = setup.step(state, setup.batches[3])
    assert int(report.interval.steps) == 3
    before = jax.tree.map(np.array, state)
    for graph in (with_energy(setup.batches[4], index, value), setup.batches[5], setup.batches[6]):
        state, report = setup.step(state, graph)
        assert report.bad_steps.tolist() == [3, 5]
    members = state.members._replace(bad_steps=before.members.bad_steps)
    assert_same(before, state._replace(members=members))


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_template_has_the_shapes_of_the_state(setup):
    state = setup.begin()
    template = state_template(setup.params, setup.optimiser, 1)
    assert jax.tree.structure(template) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(template), jax.tree.leaves(state), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
