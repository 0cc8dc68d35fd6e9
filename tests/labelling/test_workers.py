import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from compbench_jax.labelling.workers import ProcessExecutor, default_workers


def square(x):
    return x * x


def slow_square(x):
    time.sleep(0.3)
    return x * x


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    list(ProcessExecutor(1).run(square, [1]))
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_jobs_start_in_the_given_order():
    assert [job for job, _ in ProcessExecutor(1).run(square, [5, 3, 4, 1])] == [5, 3, 4, 1]


def test_a_worker_killed_from_outside_is_replaced_and_the_others_go_on():
    """SIGKILL at an arbitrary moment, one worker after another."""
    seen = []
    for job, result in ProcessExecutor(2).run(slow_square, list(range(6))):
        seen.append((job, result))
        if len(seen) in (1, 3):
            multiprocessing.active_children()[0].kill()
    assert sorted(seen) == [(x, x * x) for x in range(6)]


def test_workers_are_no_more_than_jobs_nor_than_asked_for():
    counts = []
    for _ in ProcessExecutor(2).run(slow_square, [1, 2, 3]):
        counts.append(len(multiprocessing.active_children()))
    assert max(counts) <= 2
    assert default_workers() >= 1


PARENT = """
import sys, time
from compbench_jax.labelling.workers import ProcessExecutor
if __name__ == "__main__":
    import multiprocessing
    run = ProcessExecutor(1).run(time.sleep, [0, 600])
    next(run)
    print(multiprocessing.active_children()[0].pid, flush=True)
    next(run)
"""


def test_workers_end_when_the_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there")
