"""Frames on the disk: the same batches as from memory, and epochs shuffled by buffer."""

from pathlib import Path

import jax
import numpy as np
import pytest
from chain_frames import chain_frames

from compbench_jax.batching import neighbours, packing
from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.neighbours import count_edges, neighbour_lists
from compbench_jax.batching.packing import Packed, fixed_shape, plans_per_epoch
from compbench_jax.batching.streamed import StreamedFrames, frame_sizes
from compbench_jax.errors import DataError
from compbench_jax.store.store import open_store

MINI = Path(__file__).parent.parent.parent / "data" / "mini"
CUTOFF = 4.0


@pytest.fixture(scope="module")
def store():
    return open_store(MINI)


@pytest.fixture(scope="module")
def settings(store):
    elements = sorted({int(z) for graph in store.graphs for z in graph.numbers})
    references = [-13.0 * z for z in elements]
    return {
        "elements": tuple(elements),
        "reference_energies": references,
        "cutoff": CUTOFF,
        "triplets": True,
        "graphs": store.graphs,
    }


def test_batches_from_the_disk_equal_those_from_memory_bit_for_bit(store, settings, tmp_path):
    indices = np.arange(3, store.n_frames, 61)
    memory = GraphDataset.build(store.gather(indices), batch_size=4, **settings)
    disk = StreamedFrames.build(store, indices, frame_sizes(store, indices, CUTOFF), batch_size=4, **settings)
    assert disk.shape == memory.shape
    assert disk.n_frames == memory.n_frames
    plans = [*memory.epoch(5, 2), *memory.sequential(), Packed(memory.shape, np.zeros(0, np.int64))]
    same = [*disk.epoch(5, 2), *disk.sequential(), Packed(disk.shape, np.zeros(0, np.int64))]
    for a, b in zip(plans, same, strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)
        for x, y in zip(jax.tree.leaves(memory.batch(a)), jax.tree.leaves(disk.batch(b)), strict=True):
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y)


def test_a_molecule_that_the_potential_does_not_know_is_refused_at_the_start(store, settings):
    indices = np.arange(0, store.n_frames, 61)
    narrow = settings | {"elements": (1, 6), "reference_energies": (0.0, 0.0)}
    with pytest.raises(DataError, match="knows only H, C"):
        StreamedFrames.build(store, indices, frame_sizes(store, indices, CUTOFF), batch_size=4, **narrow)


def test_edges_are_counted_as_neighbour_lists_have_them(monkeypatch):
    frames = chain_frames([2, 3, 8, 8, 5, 12])
    lists = neighbour_lists(frames, CUTOFF)
    degree = [
        np.bincount(lists.receivers[start:stop]).max()
        for start, stop in zip(lists.offsets[:-1], lists.offsets[1:], strict=True)
    ]
    for limit, at_once in ((500, 10**6), (20, 1000)):
        monkeypatch.setattr(neighbours, "DENSE_LIMIT", limit)
        monkeypatch.setattr(neighbours, "PAIRS_AT_ONCE", at_once)
        edges, incoming = count_edges(frames, CUTOFF)
        np.testing.assert_array_equal(edges, lists.n_edges)
        np.testing.assert_array_equal(incoming, degree)


def test_counts_of_edges_are_kept_and_counted_again_where_they_are_damaged(store, tmp_path, monkeypatch):
    indices = np.arange(0, store.n_frames, 101)
    first = frame_sizes(store, indices, CUTOFF, tmp_path)
    (path,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("compbench_jax.batching.streamed.count_edges", None)
        again = frame_sizes(store, indices, CUTOFF, tmp_path)
    for content in (path.read_bytes()[:-8], b"", np.full((2, len(indices)), -1, np.int32).tobytes()):
        path.write_bytes(content)
        mended = frame_sizes(store, indices, CUTOFF, tmp_path)
        for x, y, z in zip(first, again, mended, strict=True):
            np.testing.assert_array_equal(x, y)
            np.testing.assert_array_equal(x, z)
    frame_sizes(store, indices, CUTOFF + 1, tmp_path)
    frame_sizes(store, indices[1:], CUTOFF, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.fixture
def buffered(monkeypatch):
    """Sets of more than 100 structures are shuffled in buffers of about 80, in blocks of 8."""
    for name, value in (("WHOLE", 100), ("BUFFER", 80), ("BLOCK", 8)):
        monkeypatch.setattr(packing, name, value)


def large_set(n_frames=611):
    lengths = 2 + np.arange(n_frames) * 5 // n_frames
    settings = {"elements": (1, 6), "reference_energies": (0.0, 0.0), "cutoff": CUTOFF}
    return GraphDataset.build(chain_frames(lengths), batch_size=4, **settings)


def test_the_buffers_of_an_epoch_have_every_frame_once(buffered):
    dataset = large_set()
    plans = dataset.plans_per_epoch
    assert plans == 8
    orders = []
    for epoch in range(2):
        numbers = range(epoch * plans, (epoch + 1) * plans)
        batches = [item.indices for number in numbers for item in dataset.epoch(3, number)]
        assert all(len(item) < dataset.shape.n_graph for item in batches)
        orders.append(np.concatenate(batches))
        assert sorted(orders[-1].tolist()) == list(range(dataset.n_frames))
        assert len(batches) == pytest.approx(dataset.n_frames / 4, rel=0.1)
    assert (orders[0] != orders[1]).any()
    for a, b in zip(dataset.epoch(3, 11), dataset.epoch(3, 11), strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)


def test_a_buffer_is_made_of_blocks_from_the_whole_set(buffered):
    rows = np.sort(np.concatenate([item.indices for item in large_set().epoch(0, 0)]))
    blocks = np.unique(rows // 8)
    assert len(rows) == pytest.approx(80, abs=8)
    assert len(blocks) <= 11  # read in so many pieces
    assert blocks.max() - blocks.min() > 40  # of 77


def test_evaluation_of_a_large_set_has_every_frame_once(buffered):
    dataset = large_set()
    batches = [item.indices for item in dataset.sequential()]
    assert sorted(np.concatenate(batches).tolist()) == list(range(dataset.n_frames))


def test_a_small_set_is_one_plan_an_epoch():
    assert [plans_per_epoch(n) for n in (1, packing.WHOLE, packing.WHOLE + 1)] == [1, 1, 9]


def test_the_shape_of_a_large_set_holds_its_largest_frame(buffered):
    n_node, n_edge = np.full(400, 5), np.full(400, 20)
    n_node[207], n_edge[207] = 500, 9000
    shape = fixed_shape(n_node, n_edge, 4)
    assert shape.n_node > 500 and shape.n_edge >= 9000


def test_a_batch_beyond_32_bits_is_refused():
    with pytest.raises(DataError, match="lower the batch size"):
        fixed_shape(np.full(4, 10), np.full(4, 2**30), 4)
