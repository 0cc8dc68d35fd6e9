import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.labelling.executors import make_executor
from compbench_jax.labelling.settings import PRESETS
from compbench_jax.labelling.workers import ProcessExecutor
from compbench_jax.molecules.registry import find_molecule
from compbench_jax.store.generate import SHARDS, Plan, generate, part_of, take_over
from compbench_jax.store.store import open_store

TINY = dataclasses.replace(
    PRESETS["mini"], primary_frames=4, primary_segments=2, secondary_frames=4, secondary_segments=2,
    tuning_frames=2, equilibration=10.0,
)  # fmt: skip


def plan_in(folder, settings=TINY):
    molecules = (find_molecule("ethane"), find_molecule("ethanol"))
    return Plan(folder, molecules, "gfn2-xtb", settings, "mini")


def quiet(*_):
    return None


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    plan = plan_in(tmp_path_factory.mktemp("generated") / "store")
    generate(plan, ProcessExecutor(1), quiet, quiet)
    return plan


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_store_is_whole_and_verifies(finished):
    from compbench_jax.store.verify import verify

    store = open_store(finished.out, checksums=True)
    assert store.n_frames == 2 * (4 + 4) and store.manifest.tuning_frames == 2
    assert not (finished.out / SHARDS).exists()
    assert all(check.passed for check in verify(store, sample=3, seed=0) if check.name != "kinetic temperature")


def test_interrupted_work_is_taken_up_and_the_workers_do_not_matter(finished, tmp_path):
    plan = plan_in(tmp_path / "again")

    class Stop(Exception):
        pass

    done = []

    def stop_after_three():
        done.append(1)
        if len(done) == 3:
            raise Stop

    with pytest.raises(Stop):
        generate(plan, ProcessExecutor(2), quiet, stop_after_three)
    kept = {p: p.stat().st_mtime_ns for p in (plan.out / SHARDS).glob("*.npz")}
    assert len(kept) >= 3
    damaged = sorted(kept)[0]
    os.truncate(damaged, damaged.stat().st_size // 2)
    seen = []
    generate(plan, ProcessExecutor(2), lambda *counts: seen.append(counts), quiet)
    assert seen == [(len(kept) - 1, 8)]
    assert contents(plan.out) == contents(finished.out)


def test_a_finished_store_is_left_alone_and_never_mixed(finished):
    before = contents(finished.out)
    generate(finished, ProcessExecutor(1), lambda *_: pytest.fail("nothing was to be done"), quiet)
    assert contents(finished.out) == before
    other = dataclasses.replace(finished, settings=dataclasses.replace(TINY, seed=1))
    with pytest.raises(DataError, match="other settings"):
        generate(other, ProcessExecutor(1), quiet, quiet)


def test_what_another_store_has_is_taken_over_byte_for_byte(finished, tmp_path):
    plan = dataclasses.replace(
        finished, out=tmp_path / "more", molecules=(*finished.molecules, find_molecule("propane"))
    )
    assert take_over(plan, finished.out) == 8
    assert take_over(plan, finished.out) == 0
    seen = []
    generate(plan, ProcessExecutor(2), lambda *counts: seen.append(counts), quiet)
    assert seen == [(8, 12)]
    old, new = open_store(finished.out), open_store(plan.out, checksums=True)
    assert [graph.molecule.name for graph in new.graphs] == ["ethane", "ethanol", "propane"]
    for key in ("positions", "forces", "energy", "molecule", "set", "segment", "time", "temperature"):
        there, here = getattr(old, key), getattr(new, key)
        np.testing.assert_array_equal(here[: len(there)], there)


def test_pairs_are_sampled_with_their_molecules(finished, tmp_path):
    from compbench_jax.store.verify import verify

    plan = dataclasses.replace(finished, out=tmp_path / "pairs", trained=(finished.molecules[1],), pair_frames=7)
    assert [job.n_frames for job in plan.jobs()][-2:] == [5, 2]
    assert take_over(plan, finished.out) == 8
    generate(plan, ProcessExecutor(1), quiet, quiet)
    store = open_store(plan.out, checksums=True)
    pair = store.graphs[-1].molecule
    assert pair.name == "ethanol + ethanol" and store.manifest.settings["pair_frames"] == 7
    frames = store.select(2, "primary")
    assert len(frames) == 7 == len(store.molecule[store.molecule == 2]) and set(store.segment[frames]) == {0, 1}
    positions = store.gather(frames).positions.reshape(7, 18, 3)
    # Hydrogens of one molecule and oxygens of the other are close, and each molecule is whole.
    assert all(check.passed for check in verify(store, sample=3, seed=0) if check.name != "kinetic temperature")
    apart = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
    oxygens = np.flatnonzero(store.graphs[-1].numbers == 8)
    assert (apart[:, oxygens[0], oxygens[1]] < 6).all()
    whole = {p.name: p.read_bytes() for p in plan.out.iterdir() if p.is_file()}
    generate(plan, ProcessExecutor(1), lambda *_: pytest.fail("nothing was to be done"), quiet)
    generate(dataclasses.replace(plan, out=tmp_path / "again"), ProcessExecutor(2), quiet, quiet)
    assert contents(tmp_path / "again") == whole
    with pytest.raises(DataError, match="other settings"):
        generate(dataclasses.replace(plan, pair_frames=8), ProcessExecutor(1), quiet, quiet)


def test_training_molecules_can_have_more_frames_than_others(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("compbench_jax.store.generate.FURTHER_SEGMENT", 2)
    plan = dataclasses.replace(finished, out=tmp_path / "more", trained=(finished.molecules[1],), training_frames=9)
    assert take_over(plan, finished.out) == 8
    manifest = generate(plan, ProcessExecutor(1), quiet, quiet)
    assert manifest.settings["training_frames"] == 9
    before, after = open_store(finished.out), open_store(plan.out, checksums=True)
    for molecule, frames in ((0, 4), (1, 9)):
        old, new = (store.gather(store.select(molecule, "primary")) for store in (before, after))
        assert (old.n_frames, new.n_frames) == (4, frames)
        np.testing.assert_array_equal(new.positions[: len(old.positions)], old.positions)
        assert len(after.select(molecule, "secondary")) == 4
    # Two further trajectories, of three frames and of two, from geometries of their own.
    assert np.bincount(after.segment[after.select(1, "primary")]).tolist() == [2, 2, 3, 2]
    positions = new.positions.reshape(9, -1)
    assert np.linalg.norm(positions[4] - positions[7]) > 0.1
    # The further frames can be taken over in turn, but not by a plan without them.
    assert take_over(dataclasses.replace(plan, out=tmp_path / "again"), plan.out) == 10
    assert take_over(dataclasses.replace(finished, out=tmp_path / "fewer"), plan.out) == 8


def test_nothing_is_taken_over_from_other_settings_or_levels(finished, tmp_path):
    other = Plan(tmp_path / "o", finished.molecules, "gfn2-xtb", dataclasses.replace(TINY, temperature=310.0), "mini")
    with pytest.raises(DataError, match=r"other settings \(temperature\)"):
        take_over(other, finished.out)
    with pytest.raises(DataError, match="another level of theory"):
        take_over(Plan(tmp_path / "l", finished.molecules, "gfn1-xtb", TINY, "mini"), finished.out)


def test_shards_are_named_by_what_decides_them(tmp_path):
    keys = [job.path.name for job in plan_in(tmp_path).jobs()]
    assert len(set(keys)) == len(keys) == 8
    more = dataclasses.replace(TINY, primary_frames=6, primary_segments=3)
    assert set(keys) < {job.path.name for job in plan_in(tmp_path, more).jobs()}
    warmer = dataclasses.replace(TINY, temperature=310.0)
    assert not set(keys) & {job.path.name for job in plan_in(tmp_path, warmer).jobs()}


def test_a_missing_or_foreign_shard_is_no_shard(tmp_path):
    job = plan_in(tmp_path).jobs()[0]
    assert job.read() is None
    job.path.parent.mkdir(parents=True)
    job.path.write_bytes(b"PK\x03\x04 not a zip")
    assert job.read() is None
    np.savez(job.path, energy=np.zeros(2))
    assert job.read() is None


COMMAND = [
    sys.executable, "-m", "compbench_jax.cli.main", "generate", "--molecules", "ethane", "ethanol", "--workers", "2",
    "--settings", "primary_frames", "4", "primary_segments", "2", "secondary_frames", "4", "secondary_segments", "2",
    "tuning_frames", "2", "equilibration", "10",
]  # fmt: skip


def run_with_kills(out, kills, rng, longest):
    """Start the command, SIGKILL it after a random time, as often as asked, then let it finish."""
    for _ in range(kills):
        process = subprocess.Popen([*COMMAND, "--out", str(out)], stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, longest))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*COMMAND, "--out", str(out)], check=True, stderr=subprocess.DEVNULL)


def test_sigkill_loses_nothing(finished, tmp_path):
    run_with_kills(tmp_path / "killed", 2, random.Random(1), 5.0)
    assert contents(tmp_path / "killed") == contents(finished.out)


@pytest.mark.slow
def test_ten_sigkills_lose_nothing(finished, tmp_path):
    for trial in range(3):
        run_with_kills(tmp_path / "killed", 10, random.Random(trial), 6.0)
        assert contents(tmp_path / "killed") == contents(finished.out)
        shutil.rmtree(tmp_path / "killed")


def test_manifest_records_the_settings_and_the_level(finished):
    content = json.loads((finished.out / "manifest.json").read_text())
    assert content["settings"]["temperature"] == 300.0 and content["settings"]["seed"] == TINY.seed
    assert content["level"]["method"] == "GFN2-xTB" and content["created"]["tblite"]


@pytest.mark.parametrize(
    ("name", "workers", "kills"),
    [
        ("processes", 2, 2),
        ("processes", 4, 0),
        ("dask", 2, 1),
        pytest.param("dask", 1, 0, marks=pytest.mark.slow),
        pytest.param("dask", 4, 3, marks=pytest.mark.slow),
    ],
)
def test_bytes_do_not_depend_on_who_works_nor_on_workers_killed(finished, tmp_path, name, workers, kills):
    """SIGKILL for one worker of several in the middle of the run: it finishes, no frame twice, none missing."""
    plan, done = plan_in(tmp_path / "store"), []

    def kill_one():
        done.append(1)
        if len(done) <= kills:
            multiprocessing.active_children()[0].kill()

    generate(plan, make_executor(name, workers), quiet, kill_one)
    assert len(done) == 8
    assert contents(plan.out) == contents(finished.out)


def test_parts_for_job_arrays_make_the_same_store(finished, tmp_path, monkeypatch):
    from compbench_jax.cli.main import run_command

    monkeypatch.chdir(tmp_path)
    plan = plan_in(tmp_path / "store")
    parts = [part_of(plan.jobs(), k, 3) for k in (1, 2, 3)]
    assert sorted(str(job) for part in parts for job in part) == sorted(map(str, plan.jobs()))
    words = [*COMMAND[3:], "--out", "store"]
    for k in (2, 1, 3):
        run_command([*words, "--part", f"{k}/3"])
        assert not (plan.out / "manifest.json").exists()
    assert all(job.read() for job in plan.jobs())
    generate(plan, NoWorkers(), quiet, quiet)
    assert contents(plan.out) == contents(finished.out)
    run_command([*words, "--part", "1/3"])
    for bad, message in (("4/3", "part 4/3 does not exist"), ("a/b", "give K/N"), ("1", "give K/N")):
        with pytest.raises(CompBenchError, match=message):
            run_command([*words[:-1], "other", "--part", bad])
    assert not (tmp_path / "other").exists()


class NoWorkers:
    """An executor for which there must be nothing left to do."""

    description = "nobody"

    def run(self, function, jobs):
        assert list(jobs) == []
        return iter(())


class Elsewhere:
    """Workers whose shards do not arrive: they lie on another disk, or are named by another version's key."""

    description = "elsewhere"

    def __init__(self, change):
        self.change = change

    def run(self, function, jobs):
        for job in jobs:
            yield job, self.change(job)


def test_shards_that_cannot_be_seen_are_one_line(tmp_path, monkeypatch):
    from compbench_jax.labelling import executors

    monkeypatch.setattr(executors.require_visible, "__defaults__", (0.0,))
    plan = plan_in(tmp_path / "store")
    with pytest.raises(DataError, match=r"segment 0: its worker wrote .*npz, which is not to be seen here"):
        generate(plan, Elsewhere(lambda job: str(job.path)), quiet, quiet)
    with pytest.raises(DataError, match="its worker runs other versions"):
        generate(plan, Elsewhere(lambda job: "/data/0123.npz"), quiet, quiet)


def test_shards_are_named_the_same_wherever_the_store_is(tmp_path, monkeypatch):
    """Workers may start in other folders: paths are absolute, and no part of the key."""
    monkeypatch.chdir(tmp_path)
    here, there = plan_in(tmp_path / "x").jobs()[3], plan_in(type(tmp_path)("x")).jobs()[3]
    assert here.path == there.path and there.path.is_absolute()
    assert str(here) == "ethane, secondary segment 1"
