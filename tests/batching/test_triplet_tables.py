import numpy as np
import pytest
from chain_frames import chain_frames

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.batching.triplets import incoming_edges, most_incoming
from compbench_jax.errors import DataError
from compbench_jax.evaluation.predict import shared_shape
from compbench_jax.training.data import with_shape

SETTINGS = {"elements": (1, 6), "reference_energies": (0.0, 0.0), "cutoff": 5.0}


def build(lengths, batch_size=4, **changes):
    return GraphDataset.build(chain_frames(lengths), batch_size=batch_size, triplets=True, **(SETTINGS | changes))


@pytest.fixture(scope="module")
def dataset():
    return build([2, 3, 4, 5, 6] * 4)


def triplets_by_loops(graph):
    """All (edge k → j, edge j → i) with k ≠ i of the real edges."""
    real = int(graph.n_edge[np.asarray(graph.globals["frame"]) >= 0].sum())
    pairs = set()
    for ji in range(real):
        for kj in range(real):
            if graph.receivers[kj] == graph.senders[ji] and graph.senders[kj] != graph.receivers[ji]:
                pairs.add((kj, ji))
    return pairs, real


def test_the_table_names_every_triplet_once():
    dataset = build([2, 3], batch_size=2)
    graph = dataset.batch(dataset.sequential()[0])
    expected, real = triplets_by_loops(graph)
    table = graph.edges["triplets"]
    reverse = {(s, r): e for e, (s, r) in enumerate(zip(graph.senders[:real], graph.receivers[:real], strict=True))}
    found = []
    for row in table:
        edges = row[row < dataset.shape.n_edge]
        for a in edges:
            ji = reverse[graph.receivers[a], graph.senders[a]]
            found += [(int(b), ji) for b in edges if b != a]
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_every_batch_has_one_table_of_one_shape(dataset):
    for item in [*dataset.epoch(0, 0), *dataset.sequential()]:
        graph = dataset.batch(item)
        table = graph.edges["triplets"]
        assert table.shape == (dataset.shape.n_node, dataset.shape.n_incoming)
        assert table.dtype == np.int32
        n_atoms = int(graph.n_node[: len(item.indices)].sum())
        assert (table[n_atoms:] == dataset.shape.n_edge).all()
        real = int(graph.n_edge[: len(item.indices)].sum())
        assert sorted(table[table < dataset.shape.n_edge].tolist()) == list(range(real))
        for node in range(n_atoms):
            row = table[node][table[node] < dataset.shape.n_edge]
            assert (graph.receivers[row] == node).all()


def test_without_triplets_there_is_no_table():
    dataset = GraphDataset.build(chain_frames([2, 3]), batch_size=2, **SETTINGS)
    assert dataset.shape.n_incoming == 0
    assert dataset.batch(dataset.sequential()[0]).edges is None
    assert dataset.triplet_padding(dataset.sequential()) == 0


def test_padding_is_the_share_of_places_without_a_triplet(dataset):
    plan = dataset.epoch(0, 0)
    places = real = 0
    for item in plan:
        table = dataset.batch(item).edges["triplets"]
        degrees = (table < dataset.shape.n_edge).sum(axis=1)
        places, real = places + table.shape[0] * table.shape[1] ** 2, real + (degrees * (degrees - 1)).sum()
    assert dataset.triplet_padding(plan) == pytest.approx(1 - real / places)


def test_shapes_are_shared_only_where_the_neighbours_fit(dataset):
    small = build([2, 2, 2])
    assert small.shape.n_incoming < dataset.shape.n_incoming
    assert with_shape(small, dataset.shape).shape == dataset.shape
    narrow = dataset.shape._replace(n_incoming=small.shape.n_incoming)
    assert with_shape(dataset, narrow).shape == dataset.shape
    assert shared_shape([small, dataset]).n_incoming == dataset.shape.n_incoming
    assert build([2, 2], shape=dataset.shape).shape == dataset.shape
    with pytest.raises(DataError, match=r"an atom of the set has .* neighbours, the batches have room for 7"):
        build([5, 6], shape=dataset.shape._replace(n_incoming=7))


def test_atoms_without_neighbours():
    dataset = build([2, 2], cutoff=0.5)
    assert dataset.shape.n_incoming == 1
    graph = dataset.batch(Packed(BatchShape(20, 16, 4, 1), np.array([0, 1])))
    assert (graph.edges["triplets"] == 16).all()
    assert most_incoming(np.zeros(0, np.int64)) == 1


def test_too_many_edges_for_the_table_are_an_error():
    with pytest.raises(ValueError, match="3 edges end at one node, the table has 2 columns"):
        incoming_edges(np.array([0, 1, 1, 1]), 2, 2, 9)
