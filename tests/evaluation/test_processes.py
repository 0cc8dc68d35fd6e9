"""Several processes that predict a share of the frames each."""

import os
import signal
import time
from dataclasses import replace

import jax
import numpy as np
import pytest
import toy_store

from compbench_jax.deploy.benchmark import benchmark, speed_lines
from compbench_jax.errors import DataError, RunError
from compbench_jax.evaluation.ensemble import ensemble_of
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.parallel import predictor_of, processes, shares_of_cores
from compbench_jax.evaluation.sets import predict_sets
from compbench_jax.evaluation.settings import Settings

SETTINGS = Settings(samples=20, batch_size=4, fit_frames=6)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return toy_store.make_store(tmp_path_factory.mktemp("store") / "store")


@pytest.fixture(scope="module")
def two():
    with predictor_of(2) as predictor:
        yield predictor


def test_an_evaluation_in_two_processes_is_that_in_one(store, two):
    run, split = toy_store.make_run(store), toy_store.make_split(store)
    told = []
    found = evaluate(run, store, split, SETTINGS, progress=lambda *counts: told.append(counts), predictor=two)
    alone = evaluate(run, store, split, SETTINGS)
    assert told[-1] == (told[-1][1],) * 2 and len(told) > 2
    for part in ("id", "ood"):
        np.testing.assert_array_equal(found.frames[part], alone.frames[part])
        np.testing.assert_allclose(found.predictions[part].forces, alone.predictions[part].forces, atol=1e-5)
        np.testing.assert_allclose(found.predictions[part].energy, alone.predictions[part].energy, atol=1e-4)
        values = [item.results[part]["force_mae"]["value"] for item in (found, alone)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_frames_in_any_order_and_sets_smaller_than_the_processes(store, two):
    run = toy_store.make_run(store)
    ensemble = ensemble_of([run, replace(run, params=jax.tree.map(lambda leaf: 2 * leaf, run.params))])
    frames = {"some": np.array([40, 3, 17, 29, 8]), "one": np.array([11])}
    for item in (run, ensemble):
        found = two(item, store, frames, SETTINGS, lambda _: None)
        alone = predict_sets(item, store, frames, SETTINGS, lambda _: None)
        for name in frames:
            np.testing.assert_allclose(found[name].forces, alone[name].forces, atol=1e-5)
            np.testing.assert_allclose(found[name].energy, alone[name].energy, atol=1e-4)
    only = {"one": frames["one"]}  # nothing for the second process
    found, alone = (predictor(run, store, only, SETTINGS, lambda _: None)["one"] for predictor in (two, predict_sets))
    np.testing.assert_allclose(found.forces, alone.forces, atol=1e-5)


def test_the_benchmark_says_how_many_processes_it_timed(store, two):
    run = toy_store.make_run(store)
    speed = benchmark(run, store, np.arange(store.n_frames), replace(SETTINGS, max_frames=24), two, 2)
    assert (speed.n_frames, speed.processes) == (24, 2)
    lines = speed_lines(speed)
    assert "2 processes" in lines[1] and "processes" not in lines[2] + lines[3]


def test_what_a_process_raises_comes_out(store, two):
    run = toy_store.make_run(store)
    potential = replace(run.potential, normalisation=replace(run.potential.normalisation, elements=(1, 6, 9)))
    with pytest.raises(DataError, match="O"):
        two(replace(run, potential=potential), store, {"all": np.arange(store.n_frames)}, SETTINGS, lambda _: None)
    assert len(two(run, store, {"all": np.arange(4)}, SETTINGS, lambda _: None)["all"].energy) == 4


def test_a_killed_process_is_one_clear_line_and_ends_the_other(store):
    run, started = toy_store.make_run(store), []

    def kill_one(_):
        if not started:
            started.extend(process for pool in predictor._pools for process in pool._processes.values())
            os.kill(started[0].pid, signal.SIGKILL)

    with predictor_of(2) as predictor, pytest.raises(RunError, match=r"was killed.*--workers"):
        for _ in range(3):  # the last report may come with the answer
            predictor(run, store, {"all": np.arange(store.n_frames)}, SETTINGS, kill_one)
    until = time.monotonic() + 60
    while any(process.exitcode is None for process in started) and time.monotonic() < until:
        time.sleep(0.05)
    assert [process.exitcode is None for process in started] == [False, False]


def test_cores_are_shared(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3, 5, 7}, raising=False)
    assert shares_of_cores(2) == [[0, 2, 3], [5, 7]]
    assert shares_of_cores(5) == [[0], [2], [3], [5], [7]]
    assert shares_of_cores(6)[5] == [0]
    assert processes(0) == 5 and processes(3) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert shares_of_cores(2) == [[], []]


def test_one_process_alone_is_this_one_and_others_are_for_cpus(monkeypatch):
    with predictor_of(1) as predictor:
        assert predictor is predict_sets
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with pytest.raises(RunError, match=r"--workers 2 .* on gpu"), predictor_of(2):
        pass
    with pytest.raises(RunError, match="--workers is -1"), predictor_of(-1):
        pass
