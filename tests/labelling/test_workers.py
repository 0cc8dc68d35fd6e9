import os

import pytest

from compbench_jax.labelling.workers import run_jobs


def square(x):
    if x < 0:
        raise ValueError(f"bad job {x}")
    return x * x, os.environ["OMP_NUM_THREADS"]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_runs_once_on_one_thread(workers):
    results = dict(run_jobs(square, list(range(9)), workers))
    assert results == {x: (x * x, "1") for x in range(9)}


def test_a_failing_job_ends_the_run_with_its_error():
    with pytest.raises(ValueError, match="bad job -1"):
        list(run_jobs(square, [1, 2, -1, 3, 4, 5, 6, 7], 2))


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    list(run_jobs(square, [1], 1))
    assert os.environ["OMP_NUM_THREADS"] == "7"
