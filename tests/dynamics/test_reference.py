"""The reference: jobs by content, interrupted ones go on, failed ones say why."""

from dataclasses import replace

import numpy as np
import pytest
from analytic import chain
from ase import units
from ase.calculators.morse import MorsePotential

from compbench_jax.dynamics import reference
from compbench_jax.dynamics.levels import reference_level
from compbench_jax.dynamics.reference import ReferenceJob, make_reference, read_reference
from compbench_jax.dynamics.start import masses_of
from compbench_jax.dynamics.trajectory import Trajectory

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
    make_reference(bad)
    assert "CalculationFailed" in read_reference(bad)


def test_a_damaged_file_is_made_again_and_content_names_it(tmp_path):
    wanted = job(tmp_path, "points", AT[None])
    make_reference(wanted)
    wanted.path.write_bytes(b"PK")
    assert read_reference(wanted) is None
    others = [
        job(tmp_path, "points", AT[None] + 1e-9),
        job(tmp_path, "points", AT[None], level=MORSE.replace("4.0", "4.1")),
        job(tmp_path, "minimum", AT[None]),
    ]
    assert len({item.path for item in (wanted, *others)}) == 4


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
