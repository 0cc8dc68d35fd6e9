import numpy as np

from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.frames import molecule_disjoint_split
from compbench_jax.splits.unseen import bond_distances, first_unseen_radius, molecules_of, unseen_distances


def test_distances_on_a_branched_molecule(make_graph):
    #     3 - 4
    #     |
    # 0 - 1 - 2 - 5      6 - 7 (not joined to the rest)
    graph = make_graph("a", list(range(8)), bonds=[[0, 1], [1, 2], [1, 3], [2, 5], [3, 4], [6, 7]])
    source = np.zeros(8, bool)
    source[4] = True
    assert bond_distances(graph, source).tolist() == [3, 2, 3, 1, 0, 4, -1, -1]
    source[5] = True
    assert bond_distances(graph, source).tolist() == [3, 2, 1, 1, 0, 0, -1, -1]
    assert bond_distances(graph, np.zeros(8, bool)).tolist() == [-1] * 8


def test_distances_in_a_ring_take_the_shorter_way(make_graph):
    ring = make_graph("a", list(range(6)), bonds=[[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [0, 5]])
    assert bond_distances(ring, np.arange(6) == 0).tolist() == [0, 1, 2, 3, 2, 1]


def test_novelty_is_taken_at_the_radius_where_that_of_the_molecule_begins(make_graph, make_store):
    known = [[1, 1, 1, 1], [2, 3, 3, 2], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    train = make_graph("a", known)
    # Nothing is new at radius 0 and 1; atom 1 is at radius 2; at radius 3 all are, which does not count.
    first = make_graph("b", [known[0], known[1], [4, 99, 6, 7], [90, 91, 92, 93], known[4]])
    # This one is new only at radius 3, and there only at atom 3.
    second = make_graph("c", [known[0], known[1], known[2], [8, 9, 10, 93], known[4]])
    assert first_unseen_radius([train], [first, second]) == 2
    assert first_unseen_radius([train], [second]) == 3
    assert first_unseen_radius([train], [train]) is None

    store = make_store([first, train, second])
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((1,), (0, 2)))
    distances = unseen_distances(store, split)
    assert {m: d.tolist() for m, d in distances.items()} == {0: [1, 0, 1, 2], 2: [3, 2, 1, 0]}


def test_without_any_novelty_every_distance_is_minus_one(make_graph, make_store):
    store = make_store([make_graph("a", [1, 2]), make_graph("b", [2, 1, 1])])
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1,)))
    assert {m: d.tolist() for m, d in unseen_distances(store, split).items()} == {1: [-1, -1, -1]}


def test_molecules_are_counted_by_inchikey(make_graph, make_store):
    graphs = [make_graph("a", [1]), make_graph("b", [1], key="A"), make_graph("c", [1])]
    store = make_store(graphs, frames=(2, 2))
    assert molecules_of(store, np.arange(store.n_frames)) == [0, 2]
    assert molecules_of(store, store.select(1, "primary")) == [1]
