"""Files are told apart by what is in them: names say nothing, atoms come in any order."""

import numpy as np
from foreign_files import Labelled, frames_of, tree, write_ase

from compbench_jax.interchange.importer import ImportPlan, import_files
from compbench_jax.labelling.bonds import bonds_whole
from compbench_jax.store.store import open_store


def fake_frames(smiles, n, seed):
    """Distorted conformers of a molecule with made-up labels."""
    from compbench_jax.molecules.conformers import conformer
    from compbench_jax.molecules.graph import molecular_graph
    from compbench_jax.molecules.molecule import Molecule

    molecule = Molecule(smiles, smiles, "", "")
    rng = np.random.default_rng(seed)
    numbers = molecular_graph(molecule).numbers
    positions = conformer(molecule, seed)
    positions = positions + rng.normal(scale=0.02, size=(n, *positions.shape))
    return Labelled(numbers, positions.astype(np.float32), rng.normal(size=positions.shape), rng.normal(size=n))


def test_a_folder_of_trajectories_with_meaningless_names(part, tmp_path):
    rng = np.random.default_rng(1)
    folder = tmp_path / "in"
    names = [f"{k:08x}" for k in rng.choice(2**32, 2 * len(part.graphs), replace=False)]
    for molecule in range(len(part.graphs)):
        for set in ("primary", "secondary"):
            frames = frames_of(part, molecule, set)
            write_ase(
                folder / names[0][:1] / f"{names.pop(0)}.traj", frames.permuted(rng.permutation(len(frames.numbers)))
            )
    before = tree(folder)
    import_files(ImportPlan((folder,), tmp_path / "out"))
    assert tree(folder) == before
    store = open_store(tmp_path / "out", checksums=True)
    assert [g.molecule for g in store.graphs] == [g.molecule for g in part.graphs]
    for molecule, graph in enumerate(store.graphs):
        for set, n_frames in (("primary", 40), ("secondary", 30)):
            got, expected = frames_of(store, molecule, set), frames_of(part, molecule, set)
            np.testing.assert_array_equal(got.energy, expected.energy)
            assert len(got.energy) == n_frames
            # The order is another one, the same for both sets: every bond is where the graph has it ...
            assert bonds_whole(graph, got.positions).all()
            # ... and each atom kept its own force: pairs of |r - centre| and |F| are those of the original.
            for a, b in zip(got.positions, expected.positions, strict=True):
                key = np.linalg.norm(a - a.mean(0), axis=1), np.linalg.norm(b - b.mean(0), axis=1)
                np.testing.assert_allclose(np.sort(key[0]), np.sort(key[1]), atol=1e-5)
            first, second = (np.sort(np.linalg.norm(x.positions, axis=-1), axis=1) for x in (got, expected))
            np.testing.assert_allclose(first, second, atol=1e-6)
            np.testing.assert_allclose(
                (got.positions * got.forces).sum((1, 2)), (expected.positions * expected.forces).sum((1, 2)), atol=1e-3
            )


def test_molecules_outside_the_registry_and_isomers_in_one_file(tmp_path):
    """Dimethyl ether and propan-2-ol are in no registry; ethanol has the atoms of the first."""
    rng = np.random.default_rng(0)
    ether, alcohol, ethanol = (fake_frames(s, n, 5) for s, n in (("COC", 8), ("CC(C)O", 6), ("CCO", 5)))
    sort = np.argsort(-ethanol.numbers, kind="stable")
    ethanol = ethanol.permuted(sort)
    ether = ether.permuted(np.argsort(-ether.numbers, kind="stable"))
    np.testing.assert_array_equal(ether.numbers, ethanol.numbers)
    both = Labelled(
        ether.numbers,
        np.concatenate([ether.positions, ethanol.positions]),
        np.concatenate([ether.forces, ethanol.forces]),
        np.concatenate([ether.energy, ethanol.energy]),
    )
    write_ase(tmp_path / "in" / "isomers.traj", both)
    write_ase(tmp_path / "in" / "long.traj", alcohol)
    other = fake_frames("CC(C)O", 4, 6)
    write_ase(tmp_path / "in" / "short.traj", other.permuted(rng.permutation(len(other.numbers))))
    imported = import_files(ImportPlan((tmp_path / "in",), tmp_path / "out"))
    assert imported.collection.dropped == []
    store = open_store(tmp_path / "out")
    names = [g.molecule.smiles for g in store.graphs]
    assert sorted(names) == sorted(["CCO", "COC", "CC(C)O"])
    assert names[0] == "CCO"  # the registry's come first
    assert [store.graphs[k].molecule.family for k in range(3)] == ["alcohol", None, None]
    counts = {names[m]: [len(store.select(m, set)) for set in ("primary", "secondary")] for m in range(3)}
    assert counts == {"CCO": [5, 0], "COC": [8, 0], "CC(C)O": [6, 4]}
    m = names.index("CC(C)O")
    for set in ("primary", "secondary"):
        assert bonds_whole(store.graphs[m], frames_of(store, m, set).positions).all()


def joined(*parts):
    return Labelled(
        parts[0].numbers, *(np.concatenate([getattr(p, k) for p in parts]) for k in ("positions", "forces", "energy"))
    )


def test_a_reaction_is_no_molecule_even_where_its_frame_is_the_most_stable(tmp_path):
    """Of ethanol's atoms, one frame in 31 is dimethyl ether and one is in pieces; both lie lowest in energy."""
    ether, ethanol = (fake_frames(smiles, n, 5) for smiles, n in (("COC", 1), ("CCO", 30)))
    ether, ethanol = (f.permuted(np.argsort(-f.numbers, kind="stable")) for f in (ether, ethanol))
    pieces = ethanol.take(slice(0, 1))
    pieces = Labelled(
        pieces.numbers, pieces.positions + 5 * np.eye(9, 3, dtype=np.float32), pieces.forces, pieces.energy - 200
    )
    ether.energy -= 100
    write_ase(tmp_path / "x.traj", joined(ethanol, ether, pieces))
    imported = import_files(ImportPlan((tmp_path / "x.traj",), tmp_path / "out", dry_run=True))
    assert [m.name for m in imported.manifest.molecules] == ["ethanol"]
    (dropped,) = imported.collection.dropped
    assert (dropped.molecule, dropped.reason, dropped.count) == ("ethanol", "bonds changed", 2)
    assert [index for index, _ in dropped.examples] == [30, 31]
    assert all("bond" in detail for _, detail in dropped.examples)
