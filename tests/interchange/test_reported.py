"""What is left out is said and recorded; a dry run says the same and leaves nothing."""

from pathlib import Path

import numpy as np
import pytest
from foreign_files import Labelled, ase_images, frames_of, tree, write_ase, write_npz

from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.assign import Patterns, set_by_name
from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.interchange.sources import Source
from compbench_jax.interchange.summary import summary_lines, summary_table
from compbench_jax.store.store import open_store


@pytest.fixture
def blemished(part, tmp_path):
    """Forty frames of ethanol of which two come twice and three have a broken bond; thirty more in another file."""
    frames = frames_of(part, 1, "primary")
    positions = frames.positions.copy()
    positions[7] = positions[3] + np.float32(4e-7)
    positions[20, -1] += 3.0  # a hydrogen flies off
    positions[21, -1] += 3.0
    positions[30, 4] = positions[30, 5] + 0.1  # two hydrogens collide
    write_ase(tmp_path / "in" / "a.traj", Labelled(frames.numbers, positions, frames.forces, frames.energy))
    secondary = frames_of(part, 1, "secondary")
    secondary.positions[5] = positions[3]
    write_ase(tmp_path / "in" / "b.traj", secondary)
    (tmp_path / "in" / "readme.txt").write_text("hello")
    return tmp_path / "in"


def test_duplicates_and_changed_bonds_are_dropped_reported_and_recorded(blemished, tmp_path):
    imported = import_files(ImportPlan((blemished,), tmp_path / "out"))
    store = open_store(tmp_path / "out", checksums=True)
    assert [len(store.select(0, set)) for set in ("primary", "secondary")] == [36, 29]
    rejected = [(r["file"], r["molecule"], r["reason"], r["frames"]) for r in store.manifest.rejected]
    assert rejected == [
        ("a.traj", "ethanol", "bonds changed", 3),
        ("a.traj", "ethanol", "duplicate", 1),
        ("b.traj", "ethanol", "duplicate", 1),
    ]
    examples = store.manifest.rejected[0]["examples"]
    assert [e["frame"] for e in examples] == [20, 21, 30]
    assert "broke" in examples[0]["detail"] and "formed" in examples[2]["detail"]
    assert store.manifest.rejected[1]["examples"][0]["frame"] == 7
    assert store.time[:4].tolist() == [0, 1, 2, 3] and store.time[7] == 8  # the dropped frame keeps its number
    lines = "\n".join([summary_table(imported), *summary_lines(imported)])
    assert "3 bonds changed, 1 duplicate" in lines
    assert "dropped: 5 frames" in lines
    assert "a.traj frame 20 (ethanol): bonds changed, bond" in lines
    assert "1 files of other kinds" in lines
    assert "'unknown'" in lines


def test_dry_run_says_the_same_and_leaves_nothing(blemished, tmp_path, capsys):
    before = tree(tmp_path)
    run_command(["import", str(blemished), "--out", str(tmp_path / "out"), "--dry-run"])
    dry = capsys.readouterr().out
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()
    run_command(["import", str(blemished), "--out", str(tmp_path / "out")])
    wet = capsys.readouterr().out
    assert dry.replace("nothing was written (--dry-run)", "written") == wet
    assert "a.traj  ethanol   alcohol  primary    1             36      3 bonds changed, 1 duplicate" in dry


def test_nearly_equal_geometries_are_no_duplicates(part, tmp_path):
    frames = frames_of(part, 0, "primary").take(slice(0, 2))
    frames.positions[1] = frames.positions[0]
    frames.positions[1, 0, 0] += 1e-3
    write_ase(tmp_path / "x.traj", frames)
    imported = import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out", dry_run=True))
    assert len(imported.collection.pieces[0].energy) == 2


def test_sets_by_pattern(part, tmp_path):
    frames = frames_of(part, 0, "primary")
    for name, rows in (("run/long", slice(0, 25)), ("run/short", slice(25, 30)), ("test/last", slice(30, 40))):
        write_ase(tmp_path / "in" / f"{name}.traj", frames.take(rows))

    def counts(**patterns):
        imported = import_files(
            ImportPlan((tmp_path / "in",), tmp_path / "out", patterns=Patterns(**patterns), dry_run=True)
        )
        pieces = zip(imported.collection.pieces, imported.sets, strict=True)
        return {p.source.path.stem: f"{set}{segment}" for p, (set, segment) in pieces}

    assert counts() == {"long": "primary0", "short": "secondary0", "last": "secondary1"}
    assert counts(primary=("run/*",)) == {"long": "primary0", "short": "primary1", "last": "secondary0"}
    assert counts(secondary=("last*",)) == {"long": "primary0", "short": "primary1", "last": "secondary0"}
    assert counts(primary=("short.traj",), secondary=("long*", "test/*"))["short"] == "primary0"
    for patterns, message in (
        ({"primary": ("nothing*",)}, "fits none of the 3 files"),
        ({"primary": ("run/*",), "secondary": ("short*", "test*")}, "fits a --primary and a --secondary"),
        ({"primary": ("long*",), "secondary": ("short*",)}, "fits neither"),
    ):
        with pytest.raises(CompBenchError, match=message):
            counts(**patterns)


def test_sets_by_the_names_of_the_authors(part, tmp_path):
    """``<SMILES>_total.traj`` is primary however short; the SMILES in the name is not believed."""
    smiles = ["CC=O", "O=C(O)C(=O)O", "(=)"]
    frames = [frames_of(part, molecule, "primary") for molecule in range(3)]
    for name, own in zip(smiles, frames, strict=True):
        write_ase(tmp_path / "in" / f"{name}_total.traj", own.take(slice(0, 5)))
        write_ase(tmp_path / "in" / f"{name}_final.traj", own.take(slice(5, 20)))
    write_ase(tmp_path / "in" / "more.traj", frames[0].take(slice(20, 40)))

    def found(**patterns):
        plan = ImportPlan((tmp_path / "in",), tmp_path / "out", patterns=Patterns(**patterns), dry_run=True)
        imported = import_files(plan)
        names = {key: graph.molecule.name for key, graph in imported.collection.graphs.items()}
        pieces = zip(imported.collection.pieces, imported.sets, strict=True)
        return {p.source.path.name: (names[p.inchikey], f"{set}{segment}") for p, (set, segment) in pieces}

    expected = {}
    for name, graph in zip(smiles, part.graphs[:3], strict=True):
        expected[f"{name}_total.traj"] = (graph.molecule.name, "primary0")
        expected[f"{name}_final.traj"] = (graph.molecule.name, "secondary0")
    expected["more.traj"] = (part.graphs[0].molecule.name, "secondary1")
    assert found() == expected
    swapped = found(primary=("CC=O_final*", "O=C(O)C(=O)O_final.traj"))
    assert [name for name, (_, set) in swapped.items() if set == "primary0"] == [
        "CC=O_final.traj",
        "O=C(O)C(=O)O_final.traj",
    ]


@pytest.mark.parametrize("name", ["x_total.xyz", "total.traj", "x_total_2.traj", "xfinal.traj"])
def test_other_names_say_nothing_of_the_set(name):
    assert set_by_name(Source(Path("final.traj") / name, name)) is None


def test_tuning_frames(part, tmp_path):
    for set in ("primary", "secondary"):
        write_ase(tmp_path / "in" / f"{set}.traj", frames_of(part, 0, set))
    for asked, expected in ((None, 6), (10, 10), (0, 0)):
        plan = ImportPlan((tmp_path / "in",), tmp_path / "out", tuning_frames=asked, dry_run=True)
        assert import_files(plan).manifest.tuning_frames == expected
    with pytest.raises(CompBenchError, match=r"--tuning-frames 30: give 0 to 29"):
        import_files(ImportPlan((tmp_path / "in",), tmp_path / "out", tuning_frames=30))


def test_level_and_sources_are_recorded(part, tmp_path):
    path = write_npz(tmp_path / "x.npz", frames_of(part, 0, "primary"))
    words = ["--level-method", "PBE", "--level-basis", "def2-SVP", "--energy-unit", "ev", "--length-unit", "Angstrom"]
    run_command(["import", str(path), "--out", str(tmp_path / "out"), *words])
    manifest = open_store(tmp_path / "out").manifest
    assert manifest.level == {"method": "PBE", "basis": "def2-SVP", "program": None, "version": None, "keywords": {}}
    (source,) = manifest.settings["sources"]
    assert source["file"] == "x.npz" and source["frames"] == 40 and source["energy_unit"] == "eV"
    import hashlib

    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["store", "unfinished", "file"])
def test_a_taken_out_is_refused_untouched(part, tmp_path, kind):
    write_ase(tmp_path / "x.traj", frames_of(part, 0, "primary"))
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "manifest.json").write_text("{}") if kind == "store" else (out / "shards").mkdir()
    before = tree(tmp_path)
    with pytest.raises(CompBenchError, match=r"already holds a data set|is a file"):
        import_files(ImportPlan((tmp_path / "x.traj",), out))
    assert tree(tmp_path) == before


def test_interruption_leaves_no_store_and_the_command_can_be_repeated(part, tmp_path):
    for k, set in enumerate(("primary", "secondary")):
        write_ase(tmp_path / "in" / f"{k}.traj", frames_of(part, 0, set))

    def interrupt(done, total, source):
        assert (tmp_path / "out" / ".import").is_dir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_files(ImportPlan((tmp_path / "in",), tmp_path / "out"), interrupt)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out" / ".import").mkdir(parents=True)  # as a kill would leave it
    (tmp_path / "out" / ".import" / "kept.positions").write_bytes(b"half")
    import_files(ImportPlan((tmp_path / "in",), tmp_path / "out"))
    assert open_store(tmp_path / "out", checksums=True).n_frames == 70


def test_wrong_length_unit_is_noticed(part, tmp_path):
    path = write_npz(tmp_path / "x.npz", frames_of(part, 0, "primary"))
    from compbench_jax.interchange.sources import UnitChoice

    with pytest.raises(DataError, match=r"none of the frames .* can be imported .*are the units right\?"):
        import_files(ImportPlan((path,), tmp_path / "out", units=UnitChoice("eV", "Bohr")))
    assert not (tmp_path / "out").exists()


def test_energies_without_forces_are_refused_with_file_and_frame(part, tmp_path):
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    images = ase_images(frames_of(part, 0, "primary").take(slice(0, 3)))
    images[2].calc = SinglePointCalculator(images[2], energy=-1.0)
    write(tmp_path / "x.traj", images)
    with pytest.raises(DataError, match=r"x\.traj, frame 2 has an energy but no forces"):
        import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out"))
    images[1].calc = None
    write(tmp_path / "y.traj", images[:2])
    with pytest.raises(DataError, match=r"y\.traj, frame 1 has no energy"):
        import_files(ImportPlan((tmp_path / "y.traj",), tmp_path / "out"))
    np.savez(tmp_path / "z.npz", R=np.zeros((2, 1, 3)), E=np.zeros(2), z=np.ones(1, int))
    with pytest.raises(DataError, match=r"z\.npz, frame 0 has an energy but no forces"):
        import_files(ImportPlan((tmp_path / "z.npz",), tmp_path / "out"))
