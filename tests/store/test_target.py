"""One writer at a time, and no file of the user's replaced."""

import dataclasses
import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.settings import PRESETS
from compbench_jax.labelling.workers import ProcessExecutor
from compbench_jax.molecules.registry import find_molecule
from compbench_jax.store.generate import Plan, generate
from compbench_jax.store.target import LOCK, SHARDS, check_target, remove_shards, shards_in, writing

sys.path.insert(0, str(Path(__file__).parents[1] / "interchange"))

TINY = dataclasses.replace(
    PRESETS["mini"], primary_frames=1, primary_segments=1, secondary_frames=2, secondary_segments=1, tuning_frames=1,
    equilibration=0.0,
)  # fmt: skip


def hold(folder, shared, ready, end):
    with writing(folder, shared=shared):
        ready.set()
        end.wait(60)


@pytest.fixture
def holder():
    """Hold the lock of a folder in another process."""
    context = multiprocessing.get_context("spawn")
    processes = []

    def start(folder, shared=False):
        ready, end = context.Event(), context.Event()
        process = context.Process(target=hold, args=(folder, shared, ready, end))
        process.start()
        processes.append(process)
        assert ready.wait(60)
        return process, end

    yield start
    for process in processes:
        process.kill()
        process.join()


def test_the_second_writer_is_told_and_a_dead_one_leaves_nothing_in_the_way(tmp_path, holder):
    process, _ = holder(tmp_path / "out")
    message = r"another process writes into .*out: wait for its end"
    with pytest.raises(CompBenchError, match=message), writing(tmp_path / "out"):
        pass
    plan = Plan(tmp_path / "out", (find_molecule("ethane"),), "gfn2-xtb", TINY, "mini")
    with pytest.raises(CompBenchError, match=message):
        generate(plan, ProcessExecutor(1), lambda *_: None, lambda: None)
    process.kill()
    process.join()
    assert (tmp_path / "out" / LOCK).exists()
    with writing(tmp_path / "out"):
        pass
    assert os.listdir(tmp_path / "out") == []


def test_parts_share_a_folder_and_the_last_one_leaves_it_clean(tmp_path, holder):
    process, end = holder(tmp_path / "out", shared=True)
    with writing(tmp_path / "out", shared=True):
        pass
    assert (tmp_path / "out" / LOCK).exists()
    with pytest.raises(CompBenchError, match="another process writes"), writing(tmp_path / "out"):
        pass
    end.set()
    process.join()
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CompBenchError, match="cannot be written"), writing(folder):
            pass
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LOCK).symlink_to(tmp_path / "file")
    with pytest.raises(CompBenchError, match="cannot be written"), writing(tmp_path / "out"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_files_of_the_user_are_not_replaced(tmp_path):
    check_target(tmp_path, begun=False)
    (tmp_path / "energy.npy").write_text("mine")
    with pytest.raises(CompBenchError, match=r"holds another energy\.npy, which is not replaced: move it"):
        check_target(tmp_path, begun=False)
    check_target(tmp_path, begun=True)
    plan = Plan(tmp_path, (find_molecule("ethane"),), "gfn2-xtb", TINY, "mini")
    with pytest.raises(CompBenchError, match=r"holds another energy\.npy"):
        generate(plan, ProcessExecutor(1), lambda *_: None, lambda: None)
    assert os.listdir(tmp_path) == ["energy.npy"] and (tmp_path / "energy.npy").read_text() == "mine"


def test_other_files_among_the_shards_stay(tmp_path):
    shards = tmp_path / SHARDS
    shards.mkdir()
    for name in ("0123456789abcdef01234567.npz", "label-0123456789abcdef01234567.npz"):
        (shards / name).write_text("ours")
    (shards / "thesis.npz").write_text("mine")
    assert len(shards_in(tmp_path)) == 2
    remove_shards(tmp_path)
    assert os.listdir(shards) == ["thesis.npz"]
    (shards / "thesis.npz").unlink()
    remove_shards(tmp_path)
    assert not shards.exists()


def test_an_import_replaces_nothing(tmp_path):
    from foreign_files import frames_of, write_ase, write_part

    from compbench_jax.interchange.importer import WORK, ImportPlan, import_files
    from compbench_jax.store.store import open_store

    part = open_store(write_part(tmp_path / "part"))
    path = write_ase(tmp_path / "x.traj", frames_of(part, 0, "primary"))
    out = tmp_path / "out"
    (out / WORK).mkdir(parents=True)
    (out / WORK / "notes.txt").write_text("mine")
    with pytest.raises(CompBenchError, match=r"\.import is in the way"):
        import_files(ImportPlan((path,), out))
    (out / WORK / "notes.txt").rename(out / "time.npy")
    (out / WORK).rmdir()
    with pytest.raises(CompBenchError, match=r"holds another time\.npy"):
        import_files(ImportPlan((path,), out))
    assert os.listdir(out) == ["time.npy"]
    (out / "time.npy").rename(out / "notes.txt")
    import_files(ImportPlan((path,), out))
    assert (out / "notes.txt").read_text() == "mine" and open_store(out, checksums=True).n_frames == 40
