"""HDF5 in the layout of SPICE and its relatives, and ASE databases in LMDB, read and written by the real packages."""

import json
import pickle
import sys
import zlib

import numpy as np
import pytest
from foreign_files import BOHR, HARTREE, frames_of, write_ase, write_spice

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.ase_lmdb import read_ase_lmdb
from compbench_jax.interchange.hdf5 import read_hdf5
from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys
from compbench_jax.store.store import FILES, open_store

h5py = pytest.importorskip("h5py")
lmdb = pytest.importorskip("lmdb")


def frames(part):
    return frames_of(part, 0, "primary").take(slice(0, 4))


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


def test_spice(part, tmp_path):
    taken = {part.graphs[m].molecule.name: frames_of(part, m, "primary").take(slice(0, 5)) for m in range(3)}
    path = write_spice(tmp_path / "spice.hdf5", taken)
    import_files(ImportPlan((path,), tmp_path / "out"))
    store = open_store(tmp_path / "out")
    record = store.manifest.settings["sources"][0]
    assert ("dft_total_energy" in json.dumps(record)) and ("dft_total_gradient" in json.dumps(record))
    assert {graph.molecule.name for graph in store.graphs} == set(taken)
    for m, graph in enumerate(store.graphs):
        found, expected = frames_of(store, m, "primary"), taken[graph.molecule.name]
        np.testing.assert_allclose(found.energy, expected.energy, rtol=1e-9)
        np.testing.assert_allclose(found.forces, expected.forces, atol=1e-5)


def test_ani_and_flat_layouts(part, tmp_path):
    own = frames(part)
    names = {"coordinates": own.positions, "species.energy": own.energy[:, None], "species.forces": own.forces}
    for k, (place, units) in enumerate((("/", None), ("a/b/c", "hartree"))):
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            group = file.require_group(place)
            group["atomic_numbers"] = own.numbers
            for name, value in names.items():
                group[name] = value
            if units:
                group["species.energy"].attrs["units"] = units
                group["coordinates"].attrs["units"] = "angstrom"
                group["species.forces"].attrs["units"] = "hartree/bohr"
        first = next(iter(read_hdf5(tmp_path / f"{k}.h5")))
        assert (first.labels.energy, first.labels.forces) == ("species.energy", "species.forces")
        assert first.units == (("Hartree", "Ang", "hartree/bohr") if units else (None, None, None))
    assert code("import", tmp_path / "0.h5", "--out", tmp_path / "out") == 2
    assert (
        code("import", tmp_path / "0.h5", "--energy-unit", "eV", "--length-unit", "Ang", "--out", tmp_path / "out") == 0
    )
    np.testing.assert_allclose(open_store(tmp_path / "out").energy, own.energy)
    assert code("import", tmp_path / "1.h5", "--out", tmp_path / "more") == 0
    store = open_store(tmp_path / "more")
    np.testing.assert_allclose(store.energy, own.energy * HARTREE, rtol=1e-9)
    np.testing.assert_allclose(store.forces.ravel(), own.forces.ravel() * HARTREE / BOHR, rtol=1e-5)


@pytest.mark.parametrize(
    ("smiles", "left_out"),
    [("[N+:1]([H:2])", "charge 1"), ("[C:1][O-:2]", "charge -1"), ("[Ca+2:1]", "charge 2"), ("[N+][O-]", None)],
)
def test_ions_are_left_out(part, tmp_path, smiles, left_out):
    path = write_spice(tmp_path / "x.h5", {"x": frames(part)})
    with h5py.File(path, "a") as file:
        file["x/smiles"][0] = smiles
    found = [frame.left_out for frame in read_hdf5(path)]
    assert all(item is None if left_out is None else left_out in item[1] for item in found) and len(found) == 4


def damage(file, kind, folder):
    group = file["x"]
    if kind == "external link":
        del group["dft_total_energy"]
        group["dft_total_energy"] = h5py.ExternalLink("other.h5", "/energy")
    elif kind == "external storage":
        del group["dft_total_energy"]
        (folder / "raw").write_bytes(np.zeros(4).tobytes())
        group.create_dataset("dft_total_energy", (4,), float, external=str(folder / "raw"))
    elif kind == "virtual":
        del group["dft_total_energy"]
        layout = h5py.VirtualLayout((4,), float)
        layout[:] = h5py.VirtualSource("other.h5", "e", shape=(4,))
        group.create_virtual_dataset("dft_total_energy", layout)
    elif kind == "sizes":
        for name in ("conformations", "dft_total_gradient", "dft_total_energy"):
            shape = (10**9, *group[name].shape[1:])
            del group[name]
            group.create_dataset(name, shape, float, chunks=True)
    elif kind == "texts":
        del group["dft_total_energy"]
        group["dft_total_energy"] = np.array([b"1", b"2", b"3", b"4"])
    elif kind == "shape":
        numbers = group["atomic_numbers"][:-1]
        del group["atomic_numbers"]
        group["atomic_numbers"] = numbers
    elif kind == "no positions":
        del group["conformations"]
    elif kind == "units":
        group["conformations"].attrs["units"] = "furlong"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("external link", "no energy and forces of one set"),
        ("external storage", "lies in another file"),
        ("virtual", "lies in another file"),
        ("sizes", "larger than what is stored"),
        ("texts", "no numbers"),
        ("shape", "not .frames, atoms, 3"),
        ("no positions", "no group with atomic numbers and conformations or R"),
        ("units", "no unit 'furlong'"),
    ],
)
def test_hostile_hdf5_is_one_line(part, tmp_path, kind, message):
    path = write_spice(tmp_path / "x.h5", {"x": frames(part)})
    with h5py.File(path, "a") as file:
        damage(file, kind, tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        list(read_hdf5(path))
    assert "\n" not in str(caught.value)


def test_a_label_set_is_chosen(part, tmp_path):
    own = frames(part)
    path = write_spice(tmp_path / "x.h5", {"x": own}, hf_energy=own.energy, hf_gradient=-own.forces)
    first = next(iter(read_hdf5(path, LabelKeys("hf_energy", "hf_gradient"))))
    assert first.labels.forces == "hf_gradient" and first.energy == own.energy[0]
    np.testing.assert_array_equal(first.forces, own.forces[0])
    with pytest.raises(DataError, match="has no energy 'x'"):
        list(read_hdf5(path, LabelKeys("x", "hf_gradient")))


def test_ase_reads_what_is_written_and_it_comes_back_equal_to_the_byte(part, part_folder, tmp_path):
    pytest.importorskip("ase_db_backends")
    from ase.db import connect

    assert code("export", part_folder, "--out", tmp_path / "sub" / "all.aselmdb") == 0
    assert code("export", part_folder, "--out", tmp_path / "sub" / "all.aselmdb") == 2
    path = tmp_path / "sub" / "all.aselmdb"
    assert [item.name for item in path.parent.iterdir()] == ["all.aselmdb"] and path.stat().st_size < 5e7
    with connect(path, type="aselmdb", readonly=True, use_lock_file=False) as database:
        assert len(database) == part.n_frames
        row = database.get(7)
        atoms = row.toatoms()
        rows = slice(part.offsets[6], part.offsets[7])
        np.testing.assert_array_equal(atoms.positions.astype(np.float32), part.positions[rows])
        np.testing.assert_array_equal(atoms.get_forces().astype(np.float32), part.forces[rows])
        assert atoms.get_potential_energy() == part.energy[6] and not atoms.pbc.any()
        assert row.data["smiles"] == part.graphs[part.molecule[6]].molecule.smiles
    assert code("import", path, "--out", tmp_path / "back", "--tuning-frames", "6") == 0
    for name in FILES:
        assert (tmp_path / "back" / name).read_bytes() == (part_folder / name).read_bytes(), name


def test_charge_and_spin_of_omol(part, tmp_path):
    pytest.importorskip("ase_db_backends")
    from ase.db import connect

    path = write_ase(tmp_path / "x.aselmdb", frames(part))
    with connect(path, type="aselmdb", use_lock_file=False) as database:
        atoms = database.get(2).toatoms()
        database.write(atoms, data={"charge": 1, "spin": 1})
        database.write(atoms, data={"charge": 0, "spin": 3, "homo_energy": [-3.0], "nbo_charges": [0.1] * len(atoms)})
        del database[1]
    found = [frame.left_out for frame in read_ase_lmdb(path)]
    assert found[:3] == [None] * 3 and "charge 1" in found[3][1] and "spin 3" in found[4][1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (zlib.compress(pickle.dumps({"energy": 1.0})), "not JSON compressed by zlib"),
        (pickle.dumps({"energy": 1.0}), "not JSON compressed by zlib"),
        (zlib.compress(b"[1]"), "no JSON object"),
        (zlib.compress(b"[" * 100_000), "not JSON"),
        (zlib.compress(b" " * (1 << 27)), "cut, or too large"),
        (zlib.compress(b'{"numbers": {"__ndarray__": [[2], "int64", [1]]}, "positions": []}'), "arrays are damaged"),
        (zlib.compress(b'{"numbers": {"__ndarray__": [[1], "object", [1]]}, "positions": []}'), "arrays are damaged"),
        (
            zlib.compress(b'{"numbers": [6], "positions": [[0, 0, "x"]], "energy": 1, "forces": [[0, 0, 0]]}'),
            "positions",
        ),
        (zlib.compress(b"{}"), "arrays are damaged"),
    ],
)
def test_hostile_lmdb_is_one_line(tmp_path, value, message):
    path = tmp_path / "x.aselmdb"
    with lmdb.open(str(path), subdir=False, lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"1", value)
        transaction.put(b"nextid", b"")
    with pytest.raises(DataError, match=message) as caught:
        list(read_ase_lmdb(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_ends_its_reader_is_refused(part, part_folder, tmp_path):
    assert code("export", part_folder, "--out", tmp_path / "x.aselmdb") == 0
    content = (tmp_path / "x.aselmdb").read_bytes()
    for length in (len(content) // 2, 8192, 100):
        (tmp_path / "x.aselmdb").write_bytes(content[:length])
        with pytest.raises(DataError, match="copy it again") as caught:
            list(read_ase_lmdb(tmp_path / "x.aselmdb"))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("suffix", "package", "extra"), [(".aselmdb", "lmdb", "lmdb"), (".h5", "h5py", "hdf5")])
def test_a_missing_package_is_named(part_folder, tmp_path, monkeypatch, capsys, suffix, package, extra):
    (tmp_path / f"x{suffix}").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    assert code("import", tmp_path / f"x{suffix}", "--out", tmp_path / "out") == 2
    assert f"needs the package {package!r}: pip install 'compbench_jax[{extra}]'" in capsys.readouterr().err
    if suffix == ".aselmdb":
        assert code("export", part_folder, "--out", tmp_path / "y.aselmdb") == 2
        assert "compbench_jax[lmdb]" in capsys.readouterr().err


def test_readers_are_the_same_without_the_look(part, tmp_path):
    with pytest.raises(CompBenchError):
        list(read_hdf5(tmp_path / "none.h5", ANY_KEYS))
