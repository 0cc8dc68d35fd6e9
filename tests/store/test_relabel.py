import dataclasses

import numpy as np
import pytest
from ase.calculators.calculator import CalculationFailed

from compbench_jax.errors import DataError
from compbench_jax.labelling import label_job
from compbench_jax.labelling.levels import LEVELS
from compbench_jax.labelling.workers import ProcessExecutor
from compbench_jax.store import relabel as relabel_module
from compbench_jax.store.generate import SHARDS
from compbench_jax.store.relabel import Relabelling, relabel
from compbench_jax.store.store import SETS, open_store

MINI = "data/mini"


def quiet(*_):
    return None


@pytest.fixture(scope="module")
def source():
    return open_store(MINI)


def plan_of(source, out, level="gfn1-xtb", sample=7, names=("ethane", "ethanol")):
    index = {graph.molecule.name: i for i, graph in enumerate(source.graphs)}
    return Relabelling(source, out, level, sample, tuple(sorted(index[name] for name in names)))


def test_same_geometries_at_another_level(source, tmp_path):
    plan = plan_of(source, tmp_path / "new")
    manifest = relabel(plan, ProcessExecutor(1), quiet, quiet)
    new, frames = open_store(plan.out, checksums=True), plan.frames()
    assert new.n_frames == 14 and [m.name for m in manifest.molecules] == ["ethane", "ethanol"]
    assert manifest.level["method"] == "GFN1-xTB" and manifest.settings["relabelled"]["sample"] == 7
    old = source.gather(frames)
    np.testing.assert_array_equal(new.positions, old.positions)
    np.testing.assert_array_equal(new.set, source.set[frames])
    for k in (0, 9):
        rows = slice(new.offsets[k], new.offsets[k + 1])
        energy, forces = LEVELS["gfn1-xtb"].label(old.numbers[rows], old.positions[rows].astype(float))
        assert new.energy[k] == pytest.approx(energy, abs=1e-9)
        np.testing.assert_allclose(new.forces[rows], forces, atol=1e-6)
    assert np.abs(new.forces - old.forces).max() > 0.01  # another level indeed
    assert not (plan.out / SHARDS).exists()


def test_the_sample_is_even_and_keeps_the_proportion_of_the_sets(source, tmp_path):
    plan = plan_of(source, tmp_path, sample=14, names=("ethane",))
    frames = plan.frames()
    counts = [int((source.set[frames] == k).sum()) for k in range(len(SETS))]
    assert counts == [8, 6]
    primary = frames[source.set[frames] == 0]
    assert set(np.diff(primary)) == {5} and len(set(source.segment[primary])) == 8
    # Ten of the thirty secondary frames tune; so do the two of the sample that are among them.
    assert plan.tuning_frames(frames) == 2
    whole = dataclasses.replace(plan, sample=None)
    assert len(whole.frames()) == 70 and whole.tuning_frames(whole.frames()) == 10
    with pytest.raises(DataError, match="lower --sample"):
        dataclasses.replace(plan, sample=500).frames()
    few = dataclasses.replace(plan, sample=2)
    with pytest.raises(DataError, match="raise it"):
        few.tuning_frames(few.frames())


def test_interrupted_work_is_taken_up(source, tmp_path, monkeypatch):
    plan = plan_of(source, tmp_path / "new")
    whole = plan_of(source, tmp_path / "whole")
    relabel(whole, ProcessExecutor(1), quiet, quiet)
    jobs = [job for _, job in plan.jobs(plan.frames())]
    (plan.out / SHARDS).mkdir(parents=True)
    jobs[0].perform()
    jobs[1].path.write_bytes(jobs[0].path.read_bytes()[:100])  # cut off half-way
    told = []
    relabel(plan, ProcessExecutor(1), lambda done, total: told.append((done, total)), quiet)
    assert told == [(1, 2)]
    for path in whole.out.iterdir():
        assert path.read_bytes() == (plan.out / path.name).read_bytes()
    relabel(plan, ProcessExecutor(1), lambda *_: pytest.fail("it was done already"), quiet)
    with pytest.raises(DataError, match="made with other settings"):
        relabel(dataclasses.replace(plan, level="gfn2-xtb"), ProcessExecutor(1), quiet, quiet)


class Here:
    """Runs jobs in this process, where a level of theory can be put in place."""

    def run(self, function, jobs):
        for job in jobs:
            yield job, function(job)


class Stubborn:
    """GFN1-xTB whose SCF fails for every second frame."""

    name, frames_per_job, packages = "stubborn", 5, ()
    calls = 0

    def describe(self):
        return {"method": "stubborn"}

    def label(self, numbers, positions):
        self.calls += 1
        if self.calls % 2 == 0:
            raise CalculationFailed("SCF not converged\nmore words")
        return LEVELS["gfn1-xtb"].label(numbers, positions)


def test_a_failed_calculation_never_loses_the_rest(source, tmp_path, monkeypatch):
    level = Stubborn()
    for module in (label_job, relabel_module):
        monkeypatch.setattr(module, "get_level", lambda name: level)
    plan = plan_of(source, tmp_path / "new", sample=14)
    manifest = relabel(plan, Here(), quiet, quiet)
    new = open_store(plan.out, checksums=True)
    assert new.n_frames + len(manifest.rejected) == 28 and len(manifest.rejected) == 14
    assert all(item["reason"] == "SCF not converged" for item in manifest.rejected)
    left_out = {item["frame"] for item in manifest.rejected}
    kept = [k for k in plan.frames() if k not in left_out]
    np.testing.assert_array_equal(new.positions, source.gather(kept).positions)

    def never(numbers, positions):
        raise CalculationFailed("no")

    level.label = never
    with pytest.raises(DataError, match="every calculation"):
        relabel(dataclasses.replace(plan, out=tmp_path / "none"), Here(), quiet, quiet)
    assert not (tmp_path / "none" / "manifest.json").exists()


def test_labels_that_are_not_numbers_count_as_failed(source, tmp_path, monkeypatch):
    level = Stubborn()
    level.label = lambda numbers, positions: (float("nan"), positions)
    monkeypatch.setattr(label_job, "get_level", lambda name: level)
    _, job = plan_of(source, tmp_path / "new").jobs(plan_of(source, tmp_path).frames())[0]
    job.path.parent.mkdir(parents=True)
    job.perform()
    labels = job.read()
    assert set(labels.failures) == set(range(len(job.positions))) and "not finite" in labels.failures[0]


def test_what_failed_before_is_tried_again_and_the_rest_is_kept(source, tmp_path, monkeypatch):
    """A program that was missing, or a licence: the same command computes what it could not, and only that."""
    plan = plan_of(source, tmp_path / "new")
    asked, broken = [], [True]

    def label(numbers, positions):
        from ase.calculators.calculator import CalculationFailed

        asked.append(1)
        if broken[0] and len(asked) % 2:
            raise CalculationFailed("no licence")
        return 1.0, np.zeros_like(positions)

    level = Stubborn()
    level.label = label
    monkeypatch.setattr(label_job, "get_level", lambda name: level)
    jobs = [job for _, job in plan.jobs(plan.frames())]
    jobs[0].path.parent.mkdir(parents=True)
    for job in jobs:
        job.perform()
    n_frames = len(asked)
    n_failed = sum(len(job.read().failures) for job in jobs)
    assert 0 < n_failed < n_frames
    broken[0] = False
    manifest = relabel(plan, Here(), quiet, quiet)
    assert len(asked) == n_frames + n_failed
    assert manifest.rejected == () and manifest.files["energy.npy"].shape == (n_frames,)
