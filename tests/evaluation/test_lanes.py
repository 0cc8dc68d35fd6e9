"""Batches computed at once: several where that is safe, one where programs would wait for each other."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_store

from compbench_jax.evaluation import predict as predictions
from compbench_jax.evaluation.predict import calls_lapack, make_step, predict
from compbench_jax.evaluation.sets import datasets_of
from compbench_jax.evaluation.settings import Settings


class Watched:
    """A step that notes how many of its calls were under way at once, with a decomposition of matrices or without."""

    def __init__(self, potential, decomposes):
        def step(params, graph):
            energy, forces = make_step(potential)(params, graph)
            if decomposes:
                matrices = jnp.broadcast_to(jnp.eye(3), (len(forces), 3, 3)) * (
                    1 + graph.nodes["positions"][:, :1, None]
                )
                forces += 0 * jnp.linalg.svd(matrices)[1]
            return energy, forces

        self.jitted = jax.jit(step)
        self.lock, self.present, self.most = threading.Lock(), 0, 0
        self.together = threading.Event()

    def __call__(self, *arguments):
        with self.lock:
            self.present += 1
            self.most = max(self.most, self.present)
        if self.most > 1:
            self.together.set()
        self.together.wait(0.2)  # give another lane the time to come
        found = jax.block_until_ready(self.jitted(*arguments))
        with self.lock:
            self.present -= 1
        return found

    def lower(self, *arguments):
        return self.jitted.lower(*arguments)


@pytest.mark.parametrize(("decomposes", "most"), [(False, 2), (True, 1)])
def test_programs_that_call_lapack_run_one_at_a_time(tmp_path, monkeypatch, decomposes, most):
    monkeypatch.setattr(predictions, "concurrent_batches", lambda: 2)
    store = toy_store.make_store(tmp_path / "store")
    run = toy_store.make_run(store)
    (data,) = datasets_of(run, store, [np.arange(24)], Settings(batch_size=2))
    step = Watched(run.potential, decomposes)
    found = predict(step, run.params, data)
    assert step.most == most
    # One lane or two: the numbers are those of the plain step.
    monkeypatch.setattr(predictions, "concurrent_batches", lambda: 1)
    plain = predict(make_step(run.potential), run.params, data)
    np.testing.assert_allclose(found.forces, plain.forces, atol=1e-6)
    assert calls_lapack(step, run.params, data.batch(data.sequential()[0])) is decomposes
