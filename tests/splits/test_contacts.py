import itertools

import numpy as np
import pytest

from compbench_jax.splits import contacts
from compbench_jax.splits.contacts import (
    atom_kinds,
    contact_pairs,
    frames_with_others,
    nonbonded_pairs,
    unseen_contact_frames,
)

C, H, N, O = 6, 1, 7, 8  # noqa: E741


def chain(*x):
    """Positions of atoms at these places on a line, ``[n_atoms, 3]``."""
    return np.array([[value, 0.0, 0.0] for value in x])


def test_kinds_are_an_element_with_its_neighbours(make_graph):
    acid = make_graph("acid", [0] * 5, bonds=[[0, 1], [1, 2], [1, 3], [3, 4]], numbers=[C, C, O, O, H])
    assert atom_kinds(acid) == ["C(C)", "C(COO)", "O(C)", "O(CH)", "H(O)"]
    assert atom_kinds(make_graph("atom", [0], numbers=[N])) == ["N()"]


def test_bonded_pairs_and_those_on_one_angle_are_left_out(make_graph):
    #     4
    #     |
    # 0 - 1 - 2 - 3 - 5
    branched = make_graph("a", [0] * 6, bonds=[[0, 1], [1, 2], [2, 3], [1, 4], [3, 5]])
    i, j = nonbonded_pairs(branched)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 3), (0, 5), (1, 5), (3, 4), (4, 5)]


def test_contacts_by_hand(make_graph, make_store):
    graph = make_graph("a", [0] * 5, numbers=[O, C, C, C, N])
    frames = [chain(0, 1, 2, 3, 4), chain(0, 2, 4, 6, 8)]
    store = make_store([graph], frames=(2, 2), positions={(0, "primary"): frames})
    # Left are 0-3 and 1-4 (3 Å, or 6 Å in the second frame), and 0-4 (4 or 8 Å).
    near, far = {("C(CN)", "O(C)"), ("C(CO)", "N(C)")}, ("N(C)", "O(C)")
    assert contact_pairs(store, np.array([0]), 5.0) == {*near, far}
    assert contact_pairs(store, np.array([0]), 3.5) == near
    assert contact_pairs(store, np.array([0]), 3.0) == set()  # closer than the cutoff, not as close
    assert contact_pairs(store, np.array([1]), 6.5) == near
    assert contact_pairs(store, np.array([0, 1]), 6.5) == {*near, far}
    assert contact_pairs(store, np.array([], int), 6.5) == set()


def test_novel_frames_by_hand(make_graph, make_store):
    trained = make_graph("a", [0] * 5, numbers=[O, C, C, C, C])
    held_out = make_graph("b", [0] * 5, numbers=[O, C, C, C, O])
    open_, folded = chain(0, 2, 4, 6, 8), chain(0, 2, 4, 6, 1)
    store = make_store(
        [trained, held_out],
        frames=(3, 3),
        positions={(0, "primary"): [open_, open_, folded], (1, "primary"): [folded, open_, folded]},
    )
    train, ood = store.select(0, "primary"), store.select(1, "primary")
    # O(C) meets C(C) in train only; O(C) meets O(C) in the folded frames of the other molecule only.
    assert unseen_contact_frames(store, train, ood, 3.0).tolist() == [True, False, True]
    # Opened, the ends are 8 Å apart, but O(C) comes to 6 Å of a C(CO).
    assert unseen_contact_frames(store, train, ood, 6.5).tolist() == [True, True, True]
    # The answer comes in the order of the question, molecules mixed.
    asked = np.array([ood[2], train[0], ood[1], ood[0]])
    assert unseen_contact_frames(store, train, asked, 3.0).tolist() == [True, False, False, True]
    # What one training frame shows is known in every frame.
    assert unseen_contact_frames(store, train[:2], train, 3.0).tolist() == [False, False, True]
    assert not unseen_contact_frames(store, train, train, 3.0).any()
    assert unseen_contact_frames(store, train, np.array([], int)).tolist() == []


@pytest.mark.parametrize("chunk", [1, 7, contacts.CHUNK])
def test_agrees_with_a_plain_loop_whatever_the_chunk(make_graph, make_store, monkeypatch, chunk):
    monkeypatch.setattr(contacts, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    graphs = [
        make_graph(f"m{m}", [0] * size, numbers=rng.choice([C, N, O], size).tolist())
        for m, size in enumerate((4, 7, 6))
    ]
    positions = {
        (m, set): rng.uniform(0, 6, (count, graph.n_atoms, 3))
        for m, graph in enumerate(graphs)
        for set, count in (("primary", 9), ("secondary", 4))
    }
    store = make_store(graphs, frames=(9, 4), positions=positions)

    def plain(frame):
        graph = store.graphs[store.molecule[frame]]
        kinds, start = atom_kinds(graph), store.offsets[frame]
        # These molecules are chains: the bonds between two atoms are the difference of their places.
        return {
            tuple(sorted((kinds[i], kinds[j])))
            for i, j in itertools.combinations(range(graph.n_atoms), 2)
            if j - i > 2 and np.linalg.norm(store.positions[start + i] - store.positions[start + j]) < 2.5
        }

    train, others = np.flatnonzero(store.set == 0)[::2], np.flatnonzero(store.set == 1)
    known = set().union(*map(plain, train))
    assert contact_pairs(store, train, 2.5) == known
    novel = [bool(plain(frame) - known) for frame in others]
    assert unseen_contact_frames(store, train, others, 2.5).tolist() == novel
    assert frames_with_others(store, known, others, 2.5).tolist() == novel
    assert 0 < sum(novel) < len(novel)


def test_small_molecules_have_no_contacts(make_graph, make_store):
    store = make_store([make_graph("a", [1]), make_graph("b", [1, 2]), make_graph("c", [1, 2, 3])])
    assert contact_pairs(store, np.arange(store.n_frames)) == set()
    assert not unseen_contact_frames(store, np.array([0]), np.arange(store.n_frames)).any()
