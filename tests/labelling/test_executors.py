"""The contract of executors: every test runs with processes and with dask."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.labelling.executors import make_executor, require_visible
from compbench_jax.labelling.workers import MAX_DEATHS

KINDS = pytest.mark.parametrize("name", ["processes", "dask"])


def square(x):
    if x < 0:
        raise CompBenchError(f"bad job {x}")
    return x * x, os.environ["OMP_NUM_THREADS"]


def die_once(path):
    """Kill the worker the first time, with a half-written file left behind; write the whole file the second time."""
    if path.endswith("fatal") and not os.path.exists(path):
        Path(path).write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    Path(path).write_text("whole")
    return os.getpid()


def always_die(path):
    if path.endswith("fatal"):
        with open(path, "a") as handle:
            handle.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def descendants():
    """Processes started by this one that are still alive (Python's own resource tracker stays, once started)."""
    return [p for p in psutil.Process().children(recursive=True) if _is_ours(p)]


def _is_ours(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it ended between being listed and being asked
        return False


def assert_none_left_behind():
    for _ in range(50):
        if not descendants():
            return
        time.sleep(0.1)
    assert not descendants()


@pytest.mark.parametrize(("name", "workers"), [("processes", 1), ("processes", 2), ("dask", 2)])
def test_every_job_runs_once_on_one_thread(name, workers):
    pairs = list(make_executor(name, workers).run(square, list(range(9))))
    assert len(pairs) == 9 and dict(pairs) == {x: (x * x, "1") for x in range(9)}
    assert_none_left_behind()


@KINDS
def test_no_jobs_are_no_work(name):
    assert list(make_executor(name, 2).run(square, [])) == []


@KINDS
def test_a_failing_job_ends_the_run_with_its_error(name):
    with pytest.raises(CompBenchError, match="bad job -1"):
        list(make_executor(name, 2).run(square, [1, 2, -1, 3, 4, 5, 6, 7]))
    assert_none_left_behind()


@KINDS
def test_a_run_given_up_leaves_no_process(name):
    run = make_executor(name, 2).run(square, list(range(20)))
    next(run)
    run.close()
    assert_none_left_behind()


@KINDS
def test_a_job_whose_worker_dies_is_run_again(name, tmp_path, capfd):
    jobs = [str(tmp_path / text) for text in ("a", "b-fatal", "c", "d-fatal", "e", "f")]
    pairs = list(make_executor(name, 2).run(die_once, jobs))
    assert sorted(job for job, _ in pairs) == jobs
    assert all(Path(job).read_text() == "whole" for job in jobs)
    assert capfd.readouterr().err == ""


@KINDS
def test_a_job_that_always_kills_its_worker_is_named(name, tmp_path):
    jobs = [str(tmp_path / text) for text in ("a", "b", "c-fatal", "d", "e")]
    with pytest.raises(CompBenchError, match=f"c-fatal: {MAX_DEATHS} workers died of it") as caught:
        list(make_executor(name, 2).run(always_die, jobs))
    assert "\n" not in str(caught.value)
    assert len(Path(jobs[2]).read_text()) == MAX_DEATHS
    assert_none_left_behind()


def test_options_that_do_not_go_together():
    for arguments, message in [
        (("threads",), "no executor 'threads': choose one of processes, dask"),
        (("processes", -1), "--workers is -1"),
        (("processes", 0, "tcp://here:1"), "add --executor dask"),
        (("dask", 3, "tcp://here:1"), "the scheduler has workers of its own"),
    ]:
        with pytest.raises(CompBenchError, match=message):
            make_executor(*arguments)


def test_descriptions():
    assert make_executor("processes", 1).description == "1 worker"
    assert make_executor("processes", 3).description == "3 workers"
    assert make_executor("dask", 3).description == "3 dask workers"
    assert make_executor("dask", 0, "tcp://here:1").description == "the workers of tcp://here:1"


def test_a_file_that_cannot_be_seen(tmp_path):
    require_visible(Path(__file__), "ethane")
    with pytest.raises(DataError, match=r"ethane: its worker wrote .*absent, which is not to be seen here"):
        require_visible(tmp_path / "absent", "ethane", patience=0.1)
