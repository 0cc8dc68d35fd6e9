"""Frames that leave a store and come back are the same."""

import numpy as np
import pytest
from foreign_files import frames_of, write_ase, write_npz

from compbench_jax.cli.main import run_command
from compbench_jax.interchange.export import export_extxyz
from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.interchange.sources import UnitChoice
from compbench_jax.store.store import FILES, open_store


def test_store_to_extxyz_to_store_is_equal_to_the_byte(part, part_folder, tmp_path):
    export_extxyz(part, tmp_path / "all.xyz")
    run_command(["import", str(tmp_path / "all.xyz"), "--out", str(tmp_path / "back"), "--tuning-frames", "6"])
    back = open_store(tmp_path / "back", checksums=True)
    for name in FILES:
        assert (tmp_path / "back" / name).read_bytes() == (part_folder / name).read_bytes(), name
    assert back.manifest.molecules == part.manifest.molecules
    assert back.manifest.tuning_frames == 6
    assert back.manifest.rejected == ()
    for word in ("method", "basis", "program"):
        assert back.manifest.level[word] == part.manifest.level[word]
    assert not (tmp_path / "back" / ".import").exists()


def test_ase_reads_the_same_and_its_trajectory_comes_back_equal(part, part_folder, tmp_path):
    from ase.io import read, write

    export_extxyz(part, tmp_path / "all.xyz")
    write(tmp_path / "all.traj", read(tmp_path / "all.xyz", ":"))
    import_files(ImportPlan((tmp_path / "all.traj",), tmp_path / "back"))
    for name in FILES:
        assert (tmp_path / "back" / name).read_bytes() == (part_folder / name).read_bytes(), name


# From the definitions of the SI (J, mol⁻¹, C are exact) and CODATA, not from the code under test.
KJ = 1000.0 / 6.02214076e23 / 1.602176634e-19
KCAL, HARTREE, BOHR = 4.184 * KJ, 27.2113862460, 0.5291772109


@pytest.mark.parametrize(
    ("suffix", "options", "energy_unit", "length_unit"),
    [
        (".db", UnitChoice(), 1.0, 1.0),
        (".aselmdb", UnitChoice(), 1.0, 1.0),
        (".xyz", UnitChoice("eV", "Ang"), 1.0, 1.0),
        (".npz", UnitChoice("kcal/mol", "Ang"), KCAL, 1.0),
        (".npz", UnitChoice("Hartree", "bohr"), HARTREE, BOHR),
        (".npz", UnitChoice("kJ/mol", "Ang"), KJ, 1.0),
    ],
)
def test_every_format_and_unit(part, tmp_path, suffix, options, energy_unit, length_unit):
    expected = {set: frames_of(part, 2, set) for set in ("primary", "secondary")}
    for set, frames in expected.items():
        if suffix == ".npz":
            write_npz(tmp_path / "in" / f"{set}.npz", frames, energy_unit, length_unit)
        else:
            write_ase(tmp_path / "in" / f"{set}{suffix}", frames)
    import_files(ImportPlan((tmp_path / "in",), tmp_path / "out", units=options))
    store = open_store(tmp_path / "out", checksums=True)
    assert [g.molecule.name for g in store.graphs] == ["ethanoic acid"]
    assert store.manifest.tuning_frames == 6  # a fifth of 30
    for set, frames in expected.items():
        got = frames_of(store, 0, set)
        np.testing.assert_array_equal(got.numbers, frames.numbers)
        np.testing.assert_allclose(got.positions, frames.positions, atol=2e-6)
        np.testing.assert_allclose(got.forces, frames.forces, atol=2e-5)
        np.testing.assert_allclose(got.energy, frames.energy, rtol=1e-9)


def test_units_that_a_file_states_are_believed_and_may_not_be_contradicted(part, tmp_path):
    from compbench_jax.errors import DataError

    frames = frames_of(part, 1, "primary")
    path = write_npz(tmp_path / "sgdml.npz", frames, KCAL, e_unit="kcal/mol", r_unit="Ang")
    import_files(ImportPlan((path,), tmp_path / "out"))
    np.testing.assert_allclose(open_store(tmp_path / "out").energy, frames.energy, rtol=1e-9)
    with pytest.raises(DataError, match=r"states kcal/mol and Ang, the options eV and Ang: leave"):
        import_files(ImportPlan((path,), tmp_path / "other", units=UnitChoice("eV", "Ang")))


def test_rmd17_names_and_a_force_unit_of_its_own(part, tmp_path):
    frames = frames_of(part, 1, "primary")
    path = tmp_path / "rmd17.npz"
    np.savez(
        path,
        nuclear_charges=frames.numbers,
        coords=frames.positions,
        energies=frames.energy[:, None] / HARTREE,
        forces=frames.forces / (HARTREE / BOHR),
    )
    import_files(ImportPlan((path,), tmp_path / "out", units=UnitChoice("Hartree", "Ang", "Hartree/Bohr")))
    got = frames_of(open_store(tmp_path / "out"), 0, "primary")
    np.testing.assert_array_equal(got.positions, frames.positions)
    np.testing.assert_allclose(got.forces, frames.forces, atol=2e-5)
    np.testing.assert_allclose(got.energy, frames.energy, rtol=1e-9)
