"""Where the fragments of real molecules meet: novel contacts in conformers of short chains."""

import numpy as np
import pytest

from compbench_jax.molecules.conformers import conformer
from compbench_jax.splits.contacts import contact_pairs, unseen_contact_frames
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.store import open_store
from compbench_jax.store.writer import Trajectory, write_store

FAMILIES = {"alkane": range(2, 11), "acid": range(2, 8), "diacid": (3, 4, 6)}


@pytest.fixture(scope="module")
def store(registry_graphs, tmp_path_factory):
    """Four conformers of each molecule, ends far apart in di-acid C6 (its conformers of seeds 0 … 3)."""
    graphs = [g for g in registry_graphs if g.molecule.n in FAMILIES.get(g.molecule.family, ())]
    trajectories = [
        Trajectory(
            molecule=m,
            set="primary",
            segment=0,
            positions=np.stack([conformer(graph.molecule, seed) for seed in range(4)]).astype(np.float32),
            forces=np.zeros((4, graph.n_atoms, 3), np.float32),
            energy=np.zeros(4),
            time=np.arange(4, dtype=np.float32),
            temperature=np.full(4, np.nan, np.float32),
        )
        for m, graph in enumerate(graphs)
    ]
    folder = tmp_path_factory.mktemp("conformers") / "store"
    write_store(folder, Manifest((), (), (), {}, {}, 1, (), {}), graphs, trajectories)
    return open_store(folder)


def frames(store, family, lengths):
    """Frames of a family's molecules of these lengths."""
    wanted = [m for m, g in enumerate(store.graphs) if g.molecule.family == family and g.molecule.n in lengths]
    return np.flatnonzero(np.isin(store.molecule, wanted))


def test_two_carboxyl_groups_meet_in_short_diacids_only(store):
    train = np.concatenate([frames(store, "alkane", range(2, 8)), frames(store, "acid", range(2, 8))])
    assert unseen_contact_frames(store, train, frames(store, "diacid", (3, 4))).all()
    assert not unseen_contact_frames(store, train, frames(store, "diacid", (6,))).any()


def test_what_is_novel_is_carboxyl_and_carboxyl(store):
    train = np.concatenate([frames(store, "alkane", range(2, 8)), frames(store, "acid", range(2, 8))])
    new = contact_pairs(store, frames(store, "diacid", (3, 4))) - contact_pairs(store, train)
    assert ("C(COO)", "O(C)") in new
    assert {kind for pair in new for kind in pair} <= {"C(COO)", "O(C)", "O(CH)", "H(O)"}


def test_longer_alkanes_have_no_novel_contacts(store):
    train = frames(store, "alkane", range(2, 7))
    assert not unseen_contact_frames(store, train, frames(store, "alkane", range(7, 11))).any()
