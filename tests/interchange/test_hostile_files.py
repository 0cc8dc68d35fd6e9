"""Files that mean harm, or are merely broken: one line each, quickly, and nothing written outside the target."""

import io
import json
import pickle
import sqlite3
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from foreign_files import frames_of, tree, write_ase, write_npz, write_part

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.interchange.sources import UnitChoice
from compbench_jax.store.store import open_store

UNITS = UnitChoice("eV", "Ang")


class Bomb:
    """What a pickle would run; the file it makes must never appear."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(tmp_path, path, message, units=UNITS):
    """Import is refused in one line that fits, within seconds and little memory, and leaves every file as it was."""
    before = tree(tmp_path)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(CompBenchError, match=message) as caught:
            import_files(ImportPlan((path,), tmp_path / "out", units=units))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.perf_counter() - start < 10.0
    assert peak < 60e6
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", ["1000000000", "9" * 30, "-3", "ten"])
def test_extxyz_with_a_billion_atoms_declared(tmp_path, count):
    path = tmp_path / "x.xyz"
    path.write_text(f"{count}\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1.0\n" + "H 0 0 0 0 0 0\n" * 1000)
    refused(tmp_path, path, "more than the file can hold|does not begin with its number of atoms")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"2\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 0 0 0 0\n", "more than the file|other"),
        (b"1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 x 0 0 0\n", "is damaged"),
        (b"1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nXx 0 0 0 0 0 0\n", "is damaged"),
        (b"1\nProperties=species:S:1:pos:R:3:forces:R:99999999 energy=1\nH 0 0 0 0\n", "cannot be read"),
        (b"1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=nan\nH 0 0 0 0 0 0\n", "energy that is not finite"),
        (b"1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 0 0 0 nan 0\n", "force that is not finite"),
        (b"1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nH 0 inf 0 0 0 0\n", "position that is not finite"),
        (b"1\n" + b"a" * 100_000 + b"\nH 0 0 0\n", "characters: is this an XYZ"),
        (b"1\n\xff\xfe\nH 0 0 0\n", "is not text"),
        (b"1\nplain comment\nH 0 0 0\n", "has no energy"),
        (bytes(range(256)) * 40, "is this an XYZ"),
    ],
)
def test_broken_extxyz(tmp_path, content, message):
    path = tmp_path / "x.extxyz"
    path.write_bytes(content)
    refused(tmp_path, path, message)


@pytest.mark.parametrize("units", [UnitChoice(), UnitChoice("eV"), UnitChoice(length="Ang")])
@pytest.mark.parametrize("suffix", [".xyz", ".npz"])
def test_units_are_asked_for_where_no_one_knows_them(part, tmp_path, units, suffix):
    frames = frames_of(part, 0, "primary")
    path = tmp_path / f"x{suffix}"
    write_npz(path, frames) if suffix == ".npz" else write_ase(path, frames)
    option = "--length-unit" if units.energy else "--energy-unit"
    refused(tmp_path, path, f"does not say its units: give {option}", units)


@pytest.mark.parametrize(
    "words", [("furlong", "Ang"), ("eV", "parsec"), ("eV", "Ang", "eV"), ("eV", "Ang", "pound/Bohr"), ("", "")]
)
def test_units_that_do_not_exist(tmp_path, words, capsys):
    if words == ("", ""):
        options = ["--energy-unit", "furlong"]
        (tmp_path / "x.traj").write_bytes(b"")
        assert exit_code_of(lambda: run_command(["import", str(tmp_path / "x.traj"), "--out", "o", *options])) == 2
        message = capsys.readouterr().err
        assert message == "error: --energy-unit: no unit 'furlong', choose one of eV, kcal/mol, Hartree, kJ/mol\n"
    else:
        with pytest.raises(CompBenchError, match=r"no unit '.*', choose one of"):
            UnitChoice(*words)


def test_a_unit_stated_by_the_file_that_does_not_exist(part, tmp_path):
    path = write_npz(tmp_path / "x.npz", frames_of(part, 0, "primary"), e_unit="furlong", r_unit="Ang")
    refused(tmp_path, path, r"x\.npz: .*no unit 'furlong'", UnitChoice())


def test_zip_bomb(tmp_path):
    """A gigabyte declared and 40 MB of zeros to begin it, in 40 kB."""
    path = tmp_path / "x.npz"
    header = io.BytesIO()
    shape = (10_000_000, 4, 3)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("R.npy", "w") as member:
            member.write(header.getvalue())
            for _ in range(40):
                member.write(bytes(1 << 20))
        for key, array in (("E", np.zeros(4)), ("F", np.zeros((4, 4, 3))), ("z", np.ones(4, int))):
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{key}.npy", buffer.getvalue())
    refused(tmp_path, path, r"R\.npy claims to unpack from \d+ to \d+ bytes")


def test_npz_whose_headers_lie(part, tmp_path):
    frames = frames_of(part, 0, "primary")
    good = write_npz(tmp_path / "x.npz", frames)
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["R.npy"] = members["R.npy"].replace(b"'shape': (40, ", b"'shape': (4" + b"0" * 9 + b", ", 1)
    with zipfile.ZipFile(good, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    refused(tmp_path, good, r"declares an array|is not a readable")


@pytest.mark.parametrize("key", ["R", "E", "F", "z"])
def test_npz_with_pickled_objects(part, tmp_path, key):
    frames = frames_of(part, 0, "primary")
    arrays = {"R": frames.positions, "E": frames.energy, "F": frames.forces, "z": frames.numbers}
    arrays[key] = np.array([Bomb(tmp_path / "ran")], object)
    np.savez(tmp_path / "x.npz", **arrays)
    refused(tmp_path, tmp_path / "x.npz", rf"{key}\.npy holds object \(pickled objects are never read\)")
    assert not (tmp_path / "ran").exists()


def test_npz_with_a_nan_label_and_other_shapes(part, tmp_path):
    frames = frames_of(part, 0, "primary")
    frames.forces[13, 2, 1] = np.nan
    refused(tmp_path, write_npz(tmp_path / "x.npz", frames), r"x\.npz, frame 13 has a force that is not finite")
    frames = frames_of(part, 0, "primary")
    frames.energy = frames.energy[:-1]
    refused(tmp_path, write_npz(tmp_path / "y.npz", frames), r"40 frames but energies \[39\]")
    np.savez(tmp_path / "z.npz", a=np.zeros(3))
    refused(tmp_path, tmp_path / "z.npz", "has no array R or coords")
    (tmp_path / "w.npz").write_bytes(b"PK\x03\x04 no archive")
    refused(tmp_path, tmp_path / "w.npz", r"is not a readable \.npz")


def test_db_that_is_not_sqlite(tmp_path):
    path = tmp_path / "x.db"
    path.write_bytes(b"thumbnails" * 100)
    refused(tmp_path, path, "is not an SQLite file")
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
    refused(tmp_path, path, "cannot be read as an ASE database")


def test_db_of_something_else_gets_no_tables_of_ours(tmp_path):
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.commit()
    connection.close()
    content = path.read_bytes()
    refused(tmp_path, path, "is not an ASE database")
    assert path.read_bytes() == content
    connection = sqlite3.connect(path)
    # A view that would count for ever, in the place of the table.
    connection.execute(
        "CREATE VIEW systems AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
        "SELECT id, 1 AS numbers, 1 AS positions, 1 AS energy, 1 AS forces, 1 AS key_value_pairs FROM n"
    )
    connection.commit()
    connection.close()
    refused(tmp_path, path, "it has no table of systems")


def test_db_with_damaged_rows(part, tmp_path):
    for column, value, message in (
        ("positions", b"1234567", "arrays are damaged"),
        ("positions", bytes(24), "atoms but positions"),
        ("numbers", "text", "arrays are damaged"),
        ("numbers", bytes(8 * 4), "integers from 1 to 118"),
        ("energy", "low", "not a number"),
        ("energy", float("inf"), "energy that is not finite"),
    ):
        path = tmp_path / "x.db"
        path.unlink(missing_ok=True)
        write_ase(path, frames_of(part, 0, "primary").take(slice(0, 2)))
        connection = sqlite3.connect(path)
        connection.execute(f"UPDATE systems SET {column} = ? WHERE id = 2", (value,))
        connection.commit()
        connection.close()
        refused(tmp_path, path, rf"frame 1.*{message}")


def ulm(items, header=None):
    """A .traj file of the given JSON items, or with a header of our making."""
    content, offsets = b"", []
    for item in items:
        offsets.append(48 + 8 * len(items) + len(content))
        text = json.dumps(item).encode() if isinstance(item, dict) else item
        content += len(text).to_bytes(8, "little") + text
    head = header or np.array([3, len(items), 48], "<i8").tobytes()
    return b"- of Ulm" + b"ASE-Trajectory  " + head + np.array(offsets, "<i8").tobytes() + content


def array(shape, dtype, offset=0):
    return {"ndarray": [shape, dtype, offset]}


FRAME = {"numbers.": array([1], "int64"), "positions.": array([1, 3], "float64")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an ASE trajectory"),
        (pickle.dumps({"positions": 1}), "is not an ASE trajectory"),
        (b"PickleTrajectory" + bytes(100), "is not an ASE trajectory"),
        (ulm([], np.array([3, 2**60, 48], "<i8").tobytes()), "declares 1152921504606846976 frames"),
        (ulm([], np.array([3, -5, 48], "<i8").tobytes()), "declares -5 frames"),
        (ulm([], np.array([3, 1, 2**62], "<i8").tobytes()), "declares 1 frames"),
        (ulm([b"{" * 10]), "is not valid JSON"),
        (ulm([b"[" * 100_000]), "is not valid JSON"),
        (ulm([b"[]"]), "is not a little-endian ASE frame"),
        (ulm([{**FRAME, "numbers.": array([10**15], "int64")}]), "larger than the file"),
        (ulm([{**FRAME, "numbers.": array([-1], "int64")}]), "larger than the file"),
        (ulm([{**FRAME, "numbers.": array([1], "int64", -9)}]), "larger than the file"),
        (ulm([{**FRAME, "numbers.": array([1], "object")}]), "not of plain numbers"),
        (ulm([{**FRAME, "numbers.": array([1], "V99999999999")}]), "not of plain numbers"),
        (ulm([{**FRAME, "numbers.": array("x", 3)}]), "lacks an array"),
        (ulm([{}]), "lacks an array"),
        (ulm([{**FRAME, "calculator.": {"energy": 1.0}}]), "no forces"),
        (ulm([{**FRAME, "calculator.": {"energy": [1], "forces.": FRAME["positions."]}}]), "not a number|integers"),
    ],
)
def test_broken_trajectories(tmp_path, content, message):
    path = tmp_path / "x.traj"
    path.write_bytes(content)
    refused(tmp_path, path, message)


def test_truncated_trajectory(part, tmp_path):
    path = write_ase(tmp_path / "x.traj", frames_of(part, 0, "primary"))
    content = path.read_bytes()
    for size in (47, 60, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        refused(tmp_path, path, "is damaged|is not an ASE trajectory")


def test_links_that_lead_out_of_the_folder_are_not_followed(part, tmp_path):
    write_ase(tmp_path / "secret" / "outside.traj", frames_of(part, 1, "primary"))
    folder = tmp_path / "in"
    write_ase(folder / "inside.traj", frames_of(part, 0, "primary"))
    (folder / "file.traj").symlink_to(tmp_path / "secret" / "outside.traj")
    (folder / "folder").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder)
    (folder / "again.traj").symlink_to(folder / "inside.traj")
    imported = import_files(ImportPlan((folder,), tmp_path / "out", dry_run=True))
    assert [p.source.path.name for p in imported.collection.pieces] == ["again.traj"]  # one of two names of one file
    assert imported.found.outside == ("file.traj", "folder")
    assert [m.name for m in imported.manifest.molecules] == ["ethane"]


def test_manifest_that_climbs_out(tmp_path):
    """A name with ``..`` in the place of an array's, and the array really lying there."""
    folder = write_part(tmp_path / "store")
    (folder / "positions.npy").rename(tmp_path / "positions.npy")
    manifest = folder / "manifest.json"
    for name in ("../positions.npy", str(tmp_path / "positions.npy"), "a/../../positions.npy"):
        content = json.loads(manifest.read_text())
        entry = next(content["files"].pop(key) for key in list(content["files"]) if key.endswith("positions.npy"))
        content["files"][name] = entry
        manifest.write_text(json.dumps(content))
        before = tree(tmp_path)
        with pytest.raises(DataError, match="lists other arrays than a data set has") as caught:
            open_store(folder, checksums=True)
        assert "\n" not in str(caught.value)
        assert tree(tmp_path) == before


def test_pickled_array_in_a_store_is_refused_and_not_run(tmp_path):
    folder = write_part(tmp_path / "store")
    np.save(folder / "energy.npy", np.array([Bomb(tmp_path / "ran")], object), allow_pickle=True)
    with pytest.raises(DataError, match="not a plain array"):
        open_store(folder)
    assert not (tmp_path / "ran").exists()
