"""Frames of one file that name their atoms in different orders are one trajectory."""

import numpy as np
import pytest
from foreign_files import Labelled, ase_images, frames_of
from test_scrambled_names import fake_frames

from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.labelling.bonds import bonds_whole
from compbench_jax.store.store import open_store


def write_shuffled(path, frames, rng, of=None):
    """A trajectory in which every frame but the first has its atoms (or only those of element ``of``) shuffled."""
    from ase.io import write

    images = []
    for k in range(len(frames.energy)):
        order = np.arange(len(frames.numbers))
        own = order if of is None else np.flatnonzero(frames.numbers == of)
        if k:
            order[own] = rng.permutation(own)
        images += ase_images(frames.take(slice(k, k + 1)).permuted(order))
    write(path, images)
    return images


@pytest.mark.parametrize("of", [None, 1], ids=["every atom", "hydrogens"])
@pytest.mark.parametrize("molecule", ["ethanol", "CC(C)O", "N[C@@H](C)C(=O)O"])
def test_a_file_is_one_trajectory_in_the_order_of_its_first_frame(part, tmp_path, of, molecule):
    frames = frames_of(part, 1, "primary").take(slice(0, 12)) if molecule == "ethanol" else fake_frames(molecule, 12, 3)
    images = write_shuffled(tmp_path / "x.traj", frames, np.random.default_rng(0), of)
    imported = import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out"))
    assert [
        (len(piece.energy), name) for piece, (name, _) in zip(imported.collection.pieces, imported.sets, strict=True)
    ] == [(12, "primary")]
    assert imported.collection.dropped == []
    store = open_store(tmp_path / "out", checksums=True)
    got = frames_of(store, 0, "primary")
    np.testing.assert_array_equal(got.numbers, images[0].numbers)
    np.testing.assert_array_equal(got.positions[0], images[0].positions.astype(np.float32))
    np.testing.assert_array_equal(got.energy, frames.energy)
    assert store.time.tolist() == list(range(12))
    assert bonds_whole(store.graphs[0], got.positions).all()
    for k, atoms in enumerate(images):  # every atom of a frame is there, with its own force
        rows = np.concatenate([atoms.numbers[:, None], atoms.positions, atoms.get_forces()], axis=1).astype(np.float32)
        again = np.concatenate([got.numbers[:, None], got.positions[k], got.forces[k]], axis=1).astype(np.float32)
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], again[np.lexsort(again.T)])


def test_two_orders_of_many_frames(part, tmp_path):
    from ase.io import write

    frames = frames_of(part, 3, "primary")
    order = np.random.default_rng(1).permutation(len(frames.numbers))
    write(
        tmp_path / "x.traj",
        ase_images(frames.take(slice(0, 20))) + ase_images(frames.take(slice(20, 40)).permuted(order)),
    )
    imported = import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out"))
    (piece,) = imported.collection.pieces
    np.testing.assert_array_equal(piece.energy, frames.energy)


def test_isomers_of_one_file_keep_their_own_orders(part, tmp_path):
    """Ethanoic acid and 2-hydroxyethanal have the same atoms; each keeps the order of its first frame."""
    from ase.io import write

    first, second = (frames_of(part, molecule, "primary").take(slice(0, 5)) for molecule in (2, 3))
    second = second.permuted(np.argsort(second.numbers, kind="stable"))
    write(tmp_path / "x.traj", ase_images(first) + ase_images(second))
    import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out"))
    store = open_store(tmp_path / "out", checksums=True)
    for molecule, expected in enumerate((first, second)):
        got = frames_of(store, molecule, "primary")
        np.testing.assert_array_equal(got.numbers, expected.numbers)
        np.testing.assert_array_equal(got.positions, expected.positions)


def test_orders_of_several_files_are_brought_together(part, tmp_path):
    rng = np.random.default_rng(2)
    frames = frames_of(part, 1, "primary")
    write_shuffled(tmp_path / "a.traj", frames.take(slice(0, 15)), rng)
    write_shuffled(tmp_path / "b.traj", frames.take(slice(15, 25)).permuted(rng.permutation(9)), rng)
    imported = import_files(ImportPlan((tmp_path / "a.traj", tmp_path / "b.traj"), tmp_path / "out"))
    assert [len(piece.energy) for piece in imported.collection.pieces] == [15, 10]
    store = open_store(tmp_path / "out")
    for name in ("primary", "secondary"):
        assert bonds_whole(store.graphs[0], frames_of(store, 0, name).positions).all()


def test_a_shuffled_molecule_outside_the_registry_is_no_reaction(tmp_path):
    """Each frame has an order of its own: none is thrown away as a rare product of another."""
    frames = fake_frames("COC", 30, 1)
    write_shuffled(tmp_path / "x.traj", Labelled(*vars(frames).values()), np.random.default_rng(3))
    imported = import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out", dry_run=True))
    assert [len(piece.energy) for piece in imported.collection.pieces] == [30]
