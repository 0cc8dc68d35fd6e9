"""What only dask can do wrong: addresses, threads, folders that are not shared, a scheduler that goes away."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.dask_executor import DaskExecutor


def local_cluster(**options):
    from distributed import LocalCluster

    settings = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    return LocalCluster(host="127.0.0.1", memory_limit=None, protocol="tcp", **{**settings, **options})


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def double(x):
    return 2 * x


def write_into_a_folder_of_its_own(path):
    with open(os.path.join(path, "not-there", "file"), "w") as handle:
        handle.write("x")


def broken_install(_):
    raise ModuleNotFoundError("No module named 'compbench_jax.new'", name="compbench_jax.new")


def wait_long(path):
    Path(path).touch()
    time.sleep(20)


def one_line(address, function, jobs, message):
    with pytest.raises(CompBenchError, match=message) as caught:
        list(DaskExecutor(address).run(function, jobs))
    assert "\n" not in str(caught.value)


def test_a_running_scheduler_is_used_and_left_running(tmp_path):
    with local_cluster() as cluster:
        address = cluster.scheduler_address
        for _ in range(2):
            assert dict(DaskExecutor(address).run(double, [1, 2, 3])) == {1: 2, 2: 4, 3: 6}
        assert len(cluster.scheduler_info["workers"]) == 1
        one_line(
            address, write_into_a_folder_of_its_own, [str(tmp_path)], r"its worker on .* finds no .*not-there.*share"
        )
        one_line(address, broken_install, ["ethane"], "cannot run ethane .*install the same compbench_jax everywhere")


def test_workers_of_several_threads_are_refused():
    with local_cluster(threads_per_worker=2) as cluster:
        one_line(cluster.scheduler_address, double, [1], r"workers have 2 threads.*--nthreads 1")


def test_numerical_libraries_of_several_threads_are_refused(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    with local_cluster() as cluster:
        one_line(cluster.scheduler_address, double, [1], "OMP_NUM_THREADS=4")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "ftp://here:1"])
def test_no_scheduler_answers(address):
    with pytest.raises(CompBenchError, match=f"no dask scheduler answers at {address}"):
        list(DaskExecutor(address, connect_seconds=0.5).run(double, [1]))


def test_a_scheduler_that_goes_away_is_one_line(tmp_path):
    """The scheduler runs in a process of its own, which is killed when the job has begun."""
    script = (
        "import time\n"
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None,"
        " host='127.0.0.1', protocol='tcp')\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "cluster.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, tmp_path / "cluster.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment,
    )  # fmt: skip
    begun = tmp_path / "begun"

    def kill_when_begun():
        while not begun.exists():
            time.sleep(0.1)
        process.kill()

    try:
        address = process.stdout.readline().strip()
        threading.Thread(target=kill_when_begun, daemon=True).start()
        one_line(address, wait_long, [str(begun)], "went away: run the same command to go on")
    finally:
        process.kill()
        process.communicate()
