"""Energy and forces are of one label set, in stated units; what else a file states is heeded or refused."""

import json
import sqlite3

import numpy as np
import pytest
from foreign_files import ase_images, frames_of, write_ase

from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.extended_xyz import parse_comment
from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys, Labels
from compbench_jax.interchange.sources import UnitChoice
from compbench_jax.interchange.summary import summary_lines
from compbench_jax.store.store import open_store

UNITS = UnitChoice("eV", "Ang")
KCAL = 4184.0 / 6.02214076e23 / 1.602176634e-19


@pytest.fixture
def ethane(part):
    return frames_of(part, 0, "primary").take(slice(0, 6))


def write_xyz(path, frames, comment, columns=("forces",), scale=(1.0,), end="\n"):
    """Extended XYZ with the forces, scaled, in each of the columns; ``{}`` in the comment is the frame's energy."""
    lines = []
    for r, f, e in zip(frames.positions, frames.forces, frames.energy, strict=True):
        names = ":".join(f"{name}:R:3" for name in columns)
        lines += [str(len(r)), f"Properties=species:S:1:pos:R:3:{names} {comment.format(repr(float(e)))}"]
        for z, row, force in zip(frames.numbers, r, f, strict=True):
            values = np.concatenate([row, *(force * factor for factor in scale)])
            lines.append(" ".join(["H" if z == 1 else "C", *(f"{value:14.8f}" for value in values)]))
    path.write_text("\n".join(lines) + end)
    return path


def imported(tmp_path, path, **options):
    result = import_files(ImportPlan((path,), tmp_path / "out", units=options.pop("units", UNITS), **options))
    return open_store(tmp_path / "out", checksums=True), "\n".join(summary_lines(result))


def test_an_energy_of_another_method_is_never_mixed_with_forces(ethane, tmp_path):
    path = write_xyz(tmp_path / "x.xyz", ethane, "energy=-1.5 REF_energy={}", ("REF_forces",))
    store, lines = imported(tmp_path, path)
    np.testing.assert_array_equal(store.energy, ethane.energy)
    assert "labels of x.xyz are REF_energy and REF_forces; also there: energy " in lines
    with pytest.raises(DataError, match=r"frame 0 has no energy and forces of one set \(energy, REF_forces\): choose"):
        import_files(ImportPlan((write_xyz(path, ethane, "energy={}", ("REF_forces",)),), tmp_path / "o", units=UNITS))


def test_a_second_label_set_is_named_and_can_be_chosen(ethane, tmp_path, capsys):
    path = write_xyz(
        tmp_path / "x.xyz", ethane, "energy={} REF_energy=-1 free_energy=3", ("forces", "REF_forces"), (1, 2)
    )
    store, lines = imported(tmp_path, path)
    np.testing.assert_array_equal(store.energy, ethane.energy)
    assert "are energy and forces; also there: REF_energy, REF_forces (choose with" in lines
    words = ["--energy-unit", "eV", "--length-unit", "Ang", "--energy-key", "REF_energy", "--forces-key", "REF_forces"]
    run_command(["import", str(path), "--out", str(tmp_path / "ref"), *words])
    assert "are REF_energy and REF_forces; also there: energy, forces" in capsys.readouterr().out
    store = open_store(tmp_path / "ref")
    assert (store.energy == -1).all()
    np.testing.assert_allclose(frames_of(store, 0, "primary").forces, 2 * ethane.forces, atol=1e-6)
    assert store.manifest.settings["sources"][0]["energy_key"] == "REF_energy"


def test_keys_are_chosen_in_pairs():
    with pytest.raises(CompBenchError, match="give both"):
        LabelKeys("energy")
    assert ANY_KEYS.choose("", ("E", "energy_unit"), ("F", "momenta")) == Labels("E", "F")
    assert ANY_KEYS.choose("", ("dft_energy", "energy"), ("dft_forces",)) == Labels(
        "dft_energy", "dft_forces", ("energy",)
    )
    with pytest.raises(DataError, match="x has no forces 'F': its labels are E, forces"):
        LabelKeys("E", "F").choose("x", ("E",), ("forces",))


def test_one_file_keeps_to_one_label_set(ethane, tmp_path):
    first = write_xyz(tmp_path / "a", ethane.take(slice(0, 3)), "energy={}").read_text()
    second = write_xyz(tmp_path / "b", ethane.take(slice(3, 6)), "REF_energy={}", ("REF_forces",)).read_text()
    (tmp_path / "x.xyz").write_text(first + second)
    with pytest.raises(DataError, match="frame 3 is labelled by REF_energy and REF_forces, the frames before it by"):
        import_files(ImportPlan((tmp_path / "x.xyz",), tmp_path / "out", units=UNITS))


def test_rmd17_old_labels_are_named(ethane, tmp_path):
    arrays = {"nuclear_charges": ethane.numbers, "coords": ethane.positions, "energies": ethane.energy}
    arrays |= {"forces": ethane.forces, "old_energies": ethane.energy + 1, "old_forces": ethane.forces}
    np.savez(tmp_path / "x.npz", **arrays)
    store, lines = imported(tmp_path, tmp_path / "x.npz")
    assert "also there: old_energies, old_forces" in lines
    np.testing.assert_array_equal(store.energy, ethane.energy)


@pytest.mark.parametrize("layout", ["columns", "schnetpack"])
def test_units_in_the_metadata_of_a_database(ethane, tmp_path, layout):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.db import connect

    path = tmp_path / "x.db"
    with connect(path) as database:
        for r, f, e in zip(ethane.positions, ethane.forces, ethane.energy, strict=True):
            atoms = Atoms(ethane.numbers, r.astype(float))
            labels = {"energy": e / KCAL, "forces": f.astype(float) / KCAL}
            if layout == "columns":
                atoms.calc = SinglePointCalculator(atoms, **labels)
                database.write(atoms)
            else:
                database.write(atoms, data={**labels, "energy": np.array([labels["energy"]])})
        units = {"energy": "kcal/mol", "forces": "kcal/mol/Ang"}
        database.metadata = {"_property_unit_dict": units, "_distance_unit": "Ang", "atomrefs": {}}
    store, _ = imported(tmp_path, path, units=UnitChoice())
    np.testing.assert_allclose(store.energy, ethane.energy, rtol=1e-9)
    np.testing.assert_allclose(frames_of(store, 0, "primary").forces, ethane.forces, atol=1e-5)
    with pytest.raises(DataError, match="states kcal/mol and Ang, the options eV and Ang"):
        import_files(ImportPlan((path,), tmp_path / "o", units=UnitChoice("eV")))
    for text, message in (
        (json.dumps({"_property_unit_dict": {**units, "energy": "furlong"}}), "no unit 'furlong'"),
        ("{", "its metadata, where units stand, is damaged"),
    ):
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE information SET value = ? WHERE name = 'metadata'", (text,))
        with pytest.raises(DataError, match=message):
            import_files(ImportPlan((path,), tmp_path / "o"))


@pytest.mark.parametrize(
    ("words", "detail"),
    [("charge=1 spin=2", "charge 1"), ("total_charge=-1", "total_charge -1"), ("spin=2", "spin 2"),
     ("multiplicity=3", "multiplicity 3"), ("charge=one", "charge 'one', no number")],
)  # fmt: skip
def test_stated_charges_and_spins_are_left_out_by_name(ethane, tmp_path, words, detail):
    path = write_xyz(tmp_path / "x.xyz", ethane, f"{words} energy={{}}")
    with pytest.raises(DataError, match=rf"\(x.xyz frame 0: states {detail}\): only neutral molecules"):
        import_files(ImportPlan((path,), tmp_path / "o", units=UNITS))
    neutral = write_xyz(tmp_path / "n", ethane.take(slice(0, 2)), "charge=0 spin=1 multiplicity=1 energy={}")
    path.write_text(neutral.read_text() + path.read_text())
    store, lines = imported(tmp_path, path)
    assert store.n_frames == 2
    assert "dropped: 6 frames" in lines and f"charge or spin, states {detail}" in lines


def test_charges_and_cells_in_the_other_formats(ethane, tmp_path):
    from ase.io import write

    write(tmp_path / "x.traj", ase_images(ethane, charge=1))
    arrays = {"R": ethane.positions, "E": ethane.energy, "F": ethane.forces, "z": ethane.numbers}
    np.savez(tmp_path / "q.npz", **arrays, Q=np.array([1] * 6))
    np.savez(tmp_path / "l.npz", **arrays, lattice=np.eye(3) * 5)
    images = ase_images(ethane)
    for atoms in images:
        atoms.set_cell([5, 5, 5])
        atoms.pbc = True
        atoms.calc.atoms = atoms.copy()
    write(tmp_path / "p.traj", images)
    from ase.db import connect

    with connect(tmp_path / "p.db") as database:
        for atoms in images:
            database.write(atoms)
    for name, message in (
        ("x.traj", "states charge 1"),
        ("q.npz", "states charge 1"),
        ("l.npz", "frame 0 states a periodic cell"),
        ("p.traj", "frame 0 states a periodic cell"),
        ("p.db", "frame 0 states a periodic cell"),
    ):
        with pytest.raises(DataError, match=message):
            import_files(ImportPlan((tmp_path / name,), tmp_path / "o", units=UNITS))


def test_periodic_cells_are_refused_by_name_unless_images_are_far(ethane, tmp_path):
    box = 'Lattice="{0} 0 0 0 {0} 0 0 0 {0}" '
    for comment, message in (
        (box.format(10), r"frame 0 states a periodic cell in which images are \d\.\d Å apart"),
        ('pbc="T T T" ', "frame 0 states periodic boundaries without a whole cell"),
        ('pbc="T maybe F" ', "is not three of T and F"),
    ):
        path = write_xyz(tmp_path / "x.xyz", ethane, comment + "energy={}")
        with pytest.raises(DataError, match=message):
            import_files(ImportPlan((path,), tmp_path / "o", units=UNITS))
    path = write_xyz(tmp_path / "x.xyz", ethane, box.format(20) + "energy={}")
    store, lines = imported(tmp_path, path)
    assert store.n_frames == 6 and "6 frames state a periodic cell with images 10 Å apart or more" in lines
    write_xyz(path, ethane, box.format(3) + 'pbc="F F F" energy={}')
    import_files(ImportPlan((path,), tmp_path / "n", units=UNITS))


def test_byte_order_mark_and_isolated_atoms(ethane, tmp_path):
    atom = "1\nProperties=species:S:1:pos:R:3 energy=-10.7 config_type=IsolatedAtom\nH 0 0 0\n"
    text = write_xyz(tmp_path / "x.xyz", ethane, "energy={}").read_text()
    (tmp_path / "x.xyz").write_text(atom + text, encoding="utf-8-sig")
    store, lines = imported(tmp_path, tmp_path / "x.xyz")
    assert store.n_frames == 6 and "x.xyz frame 0 (?): isolated atom, one atom with no forces" in lines


def test_a_text_file_that_may_be_cut_is_refused(ethane, tmp_path):
    path = write_xyz(tmp_path / "x.xyz", ethane, "energy={}")
    content = path.read_bytes()
    for cut in range(2, 40):
        path.write_bytes(content[:-cut])
        with pytest.raises(DataError, match=r"frame 5.*(may be cut|the file holds others|more than the file)"):
            import_files(ImportPlan((path,), tmp_path / "o", units=UNITS))
    path.write_bytes(content[:-1])  # the line break alone: the last line is as long as the others
    assert imported(tmp_path, path)[0].n_frames == 6


def test_an_archive_with_bytes_cut_out_is_one_line(ethane, tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, R=ethane.positions, E=ethane.energy, F=ethane.forces, z=ethane.numbers)
    content = path.read_bytes()
    for start in range(0, len(content) - 20, 97):
        path.write_bytes(content[:start] + content[start + 13 :])
        with pytest.raises(DataError, match=r"x\.npz"):
            import_files(ImportPlan((path,), tmp_path / "o", units=UNITS))


def test_bonds_keep_their_lengths_far_from_the_origin(ethane, tmp_path):
    from ase.io import write

    ethane.positions = ethane.positions + np.array([1e4, -3e5, 70.0])
    images = ase_images(ethane)
    write(tmp_path / "x.traj", images)
    store, _ = imported(tmp_path, tmp_path / "x.traj", units=UnitChoice())
    for atoms, r in zip(images, frames_of(store, 0, "primary").positions.astype(float), strict=True):
        expected = atoms.get_all_distances()
        np.testing.assert_allclose(np.linalg.norm(r[:, None] - r, axis=-1), expected, atol=3e-7)


def test_pipes_are_refused_at_once(tmp_path):
    import os

    os.mkfifo(tmp_path / "x.xyz")
    with pytest.raises(CompBenchError, match=r"x\.xyz is no plain file"):
        import_files(ImportPlan((tmp_path / "x.xyz",), tmp_path / "o", units=UNITS))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("name='two words' energy=1", {"name": "two words", "energy": "1"}),
        ("energy=1 note={a b} w=[1 2] flag", {"energy": "1", "note": "a b", "w": "1 2", "flag": ""}),
        ('energy = -1.0 x="a \\" b"', {"energy": "-1.0", "x": 'a " b'}),
    ],
)
def test_quoted_values_of_a_comment_line(line, expected):
    assert parse_comment(line) == expected


def test_written_by_ase_and_read_again(ethane, tmp_path):
    write_ase(tmp_path / "x.xyz", ethane)
    assert imported(tmp_path, tmp_path / "x.xyz")[0].n_frames == 6
