"""The reference: jobs by content, interrupted ones go on, failed ones say why."""

import os
from dataclasses import replace

import numpy as np
import pytest
from analytic import chain
from ase import units
from ase.calculators.calculator import CalculationFailed
from ase.calculators.morse import MorsePotential

from compbench_jax.dynamics import reference
from compbench_jax.dynamics.levels import reference_level
from compbench_jax.dynamics.reference import ReferenceJob, complete, make_reference, read_reference
from compbench_jax.dynamics.reference_work import Reference
from compbench_jax.dynamics.start import Start, masses_of
from compbench_jax.dynamics.trajectory import Trajectory
from compbench_jax.errors import DataError
from compbench_jax.labelling.levels import get_level

MORSE = 'ase.calculators.morse:MorsePotential{"epsilon": 4.0, "r0": 1.1, "rho0": 3.0}'
GRAPH = chain([6, 8])
AT = np.array([[0.0, 0, 0], [1.2, 0, 0]])


def job(folder, kind, positions=AT, level=MORSE, **settings):
    moving = {"velocities": np.array([[0, 0.01, 0], [0, -0.01, 0]]), "masses": masses_of(GRAPH)}
    return ReferenceJob(
        str(folder), level, "carbon monoxide", kind, GRAPH.numbers, positions, settings,
        **(moving if kind == "trajectory" else {}),
    )  # fmt: skip


def test_minima_have_their_hessian(tmp_path):
    wanted = job(tmp_path, "minimum", hessian=True)
    assert read_reference(wanted) is None
    make_reference(wanted)
    found = read_reference(wanted)
    assert np.linalg.norm(found["positions"][1] - found["positions"][0]) == pytest.approx(1.1, abs=1e-3)
    # Morse: k = 2 D a², a = ρ₀ / r₀.
    assert found["hessian"][0, 0] == pytest.approx(2 * 4.0 * (3.0 / 1.1) ** 2, rel=0.02)
    np.testing.assert_array_equal(found["hessian"], found["hessian"].T)


def test_trajectories_conserve_energy_and_go_on_after_an_interruption(tmp_path, monkeypatch):
    settings = {"time_step": 0.5 * units.fs, "stride": 2, "records": 40}
    whole = job(tmp_path / "a", "trajectory", **settings)
    make_reference(whole)
    found = Trajectory(**read_reference(whole))
    total = (found.potential + found.kinetic)[:, 0]
    assert len(total) == 41 and np.ptp(total) < 0.02 * np.ptp(found.kinetic)
    broken, calls = job(tmp_path / "b", "trajectory", **settings), []
    original = MorsePotential.calculate

    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(MorsePotential, "calculate", interrupted)
    monkeypatch.setattr(reference, "SAVE_SECONDS", 0.0)
    broken.path.parent.mkdir()
    with pytest.raises(KeyboardInterrupt):
        make_reference(broken)
    assert read_reference(broken) is None and broken.path.with_suffix(".part").exists()
    make_reference(broken)
    assert len(calls) < 30 + 60  # not from the start again
    again = Trajectory(**read_reference(broken))
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-6)
    assert not broken.path.with_suffix(".part").exists()


def test_points_that_fail_are_nan_and_a_level_that_always_fails_says_why(tmp_path):
    points = np.stack([AT, AT * 1.1])
    wanted = job(tmp_path, "points", points)
    make_reference(wanted)
    found = read_reference(wanted)
    assert found["energy"][0] < found["energy"][1] and found["forces"].shape == (2, 2, 3)
    bad = job(tmp_path, "points", points, level='ase.calculators.emt:EMT{"asap_cutoff": true}')
    bad = replace(bad, numbers=np.array([88, 88], np.int32))
    assert "CalculationFailed" in make_reference(bad)
    assert read_reference(bad) is None and not bad.path.exists()


def test_a_damaged_file_is_named_and_content_names_it(tmp_path):
    wanted = job(tmp_path, "points", AT[None])
    make_reference(wanted)
    whole = wanted.path.read_bytes()
    for content in (b"PK", whole[:100], whole[: len(whole) // 2], b""):
        wanted.path.write_bytes(content)
        with pytest.raises(DataError, match=f"{wanted.path.name} is damaged: remove it"):
            read_reference(wanted)
    others = [
        job(tmp_path, "points", AT[None] + 1e-9),
        job(tmp_path, "points", AT[None], level=MORSE.replace("4.0", "4.1")),
        job(tmp_path, "minimum", AT[None]),
    ]
    assert len({item.path for item in (wanted, *others)}) == 4


@pytest.mark.parametrize("kind", ["trajectory", "minimum", "points"])
def test_arrays_of_another_shape_or_kind_are_damage_and_a_pipe_is_not_waited_for(tmp_path, kind):
    settings = {"time_step": 0.5 * units.fs, "stride": 1, "records": 1} if kind == "trajectory" else {}
    wanted = job(tmp_path, kind, AT[None] if kind == "points" else AT, **settings)
    make_reference(wanted)
    whole = read_reference(wanted)
    for name in whole:
        for instead in (whole[name][..., None], whole[name].astype(str)):
            np.savez(wanted.path, **(whole | {name: instead}))
            with pytest.raises(DataError, match=f"{wanted.path.name} is damaged"):
                read_reference(wanted)
    np.savez(wanted.path, **{name: array for name, array in whole.items() if name != next(iter(whole))})
    with pytest.raises(DataError, match="is damaged"):
        read_reference(wanted)
    wanted.path.unlink()
    os.mkfifo(wanted.path)
    with pytest.raises(DataError, match="is damaged"):
        read_reference(wanted)


def test_what_is_no_minimum_is_refused_and_not_kept(tmp_path, monkeypatch):
    wanted = job(tmp_path, "minimum", np.array([[0.0, 0, 0], [1.6, 0, 0]]), hessian=True)
    monkeypatch.setattr(reference, "MOST_STEPS", 1)
    assert "no minimum of the reference: not converged, the largest force is 4.9" in make_reference(wanted)
    assert not wanted.path.exists()
    # One that an earlier version kept is not believed.
    np.savez(wanted.path, positions=wanted.positions, force=4.99, hessian=np.eye(6), failure=np.zeros(0, np.uint8))
    assert read_reference(wanted) is None
    np.savez(wanted.path, failure=np.frombuffer(b"a failure", np.uint8))
    assert read_reference(wanted) is None
    monkeypatch.undo()
    assert make_reference(wanted) == "" and read_reference(wanted)["force"] < 0.01


def test_a_saddle_point_is_no_minimum(tmp_path):
    """Three atoms in a line, each pair attracting: no force across it, which is uphill in one direction only."""
    line = replace(job(tmp_path, "minimum", hessian=True), numbers=np.array([6, 8, 6], np.int32))
    line = replace(line, positions=np.array([[-1.0, 0, 0], [0, 0, 0], [1.0, 0, 0]]))
    assert "no minimum of the reference: a saddle point" in make_reference(line)
    assert not line.path.exists()


def test_failed_jobs_are_tried_again_by_the_next_command_and_once_by_each(tmp_path, monkeypatch):
    start = Start(GRAPH, 0, AT, np.zeros((2, 3)))
    calls, broken = [], [True]
    original = MorsePotential.calculate

    def calculate(self, *arguments, **keywords):
        calls.append(1)
        if broken[0]:
            raise CalculationFailed("out of memory")
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(MorsePotential, "calculate", calculate)

    class InThisProcess:
        def run(self, function, jobs):
            return ((item, function(item)) for item in jobs)

    def command():
        return Reference(get_level(MORSE), tmp_path, InThisProcess(), lambda *_: None, hessian=False)

    first = command()
    assert "out of memory" in first.minima([start])[0] and len(calls) == 1
    assert "out of memory" in first.minima([start])[0] and len(calls) == 1
    broken[0] = False
    assert isinstance(command().minima([start])[0], dict)
    done = len(calls)
    assert isinstance(command().minima([start])[0], dict) and len(calls) == done


def test_points_that_failed_are_tried_again(tmp_path):
    wanted = job(tmp_path, "points", np.stack([AT, AT * 1.1]))
    make_reference(wanted)
    whole = read_reference(wanted)
    assert complete(wanted)
    partly = {name: array.copy() for name, array in whole.items()}
    partly["energy"][1] = np.nan
    partly["energy"][0] = -7.0  # a mark: what is known is not computed again
    np.savez(wanted.path, **partly)
    assert not complete(wanted)
    make_reference(wanted)
    np.testing.assert_array_equal(read_reference(wanted)["energy"], [-7.0, whole["energy"][1]])


class Store:
    """As much of a store as is asked."""

    def __init__(self, **level):
        self.manifest = type("Manifest", (), {"level": level})()


def test_the_level_is_that_of_the_labels_unless_it_takes_hours():
    xtb = Store(method="GFN2-xTB", basis=None, program="tblite")
    level, note = reference_level(None, xtb)
    assert (level.name, note) == ("gfn2-xtb", "")
    assert reference_level("none", xtb) == (None, "")
    level, note = reference_level(MORSE, xtb)
    assert level.name == MORSE and "the labels are GFN2-xTB" in note
    from compbench_jax.labelling.levels import LEVELS

    slow = LEVELS["pbe-d3bj"]
    level, note = reference_level(None, Store(method=slow.method, basis=slow.basis, program=slow.program))
    assert level is None and "--level pbe-d3bj" in note
    level, note = reference_level(None, Store(method="made up"))
    assert level is None and "not one of ours" in note
