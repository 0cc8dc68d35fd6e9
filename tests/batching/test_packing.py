import itertools

import numpy as np
import pytest
from chain_frames import chain_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from compbench_jax.batching.neighbours import neighbour_lists
from compbench_jax.batching.packing import (
    BatchShape,
    Packed,
    fixed_shape,
    number_of_batches,
    pack,
    pack_tightly,
    padding,
)
from compbench_jax.errors import DataError


def sizes_of(lengths) -> tuple[np.ndarray, np.ndarray]:
    """Atoms and edges (5 Å) of chains of these lengths."""
    frames = chain_frames(lengths, seed=1)
    return frames.n_atoms, neighbour_lists(frames, 5.0).n_edges


def assert_whole_and_within(plan, n_node, n_edge):
    assert sorted(itertools.chain.from_iterable(item.indices.tolist() for item in plan)) == list(range(len(n_node)))
    for shape, indices in plan:
        assert n_node[indices].sum() < shape.n_node  # one padding node at least
        assert n_edge[indices].sum() <= shape.n_edge
        assert 0 < len(indices) < shape.n_graph  # one padding graph at least


structures = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 1500)), min_size=1, max_size=150)


@given(structures=structures, batch_size=st.integers(1, 40), seed=st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_any_structures_occur_once_within_the_capacities(structures, batch_size, seed):
    n_node, n_edge = np.array(structures).T
    shape = fixed_shape(n_node, n_edge, batch_size)
    assert_whole_and_within(pack(n_node, n_edge, shape, batch_size, np.random.default_rng(seed)), n_node, n_edge)
    assert_whole_and_within(pack_tightly(n_node, n_edge, shape), n_node, n_edge)


@given(structures=structures, other=structures, batch_size=st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_a_shape_made_for_other_structures_is_respected(structures, other, batch_size):
    n_node, n_edge = np.array(structures).T
    shape = fixed_shape(*np.array(other).T, batch_size)
    if (n_node >= shape.n_node).any() or (n_edge > shape.n_edge).any():
        with pytest.raises(DataError, match="shape of its own"):
            pack(n_node, n_edge, shape, batch_size, np.random.default_rng(0))
        with pytest.raises(DataError, match="shape of its own"):
            pack_tightly(n_node, n_edge, shape)
    else:
        assert_whole_and_within(pack(n_node, n_edge, shape, batch_size, np.random.default_rng(0)), n_node, n_edge)
        assert_whole_and_within(pack_tightly(n_node, n_edge, shape), n_node, n_edge)


SETS = {
    "C2-C6": np.repeat(np.arange(2, 7), 40),
    "C7-C13": np.repeat(np.arange(7, 14), 40),
    "C2-C13": np.repeat(np.arange(2, 14), 200),
    "a few": np.array([2, 3, 5, 5, 7, 8, 8, 9, 10, 11, 12, 13] * 3),
}


@pytest.mark.parametrize(("name", "batch_size"), list(itertools.product(SETS, (8, 64))))
def test_less_than_eight_percent_is_padding_in_every_epoch(name, batch_size):
    n_node, n_edge = sizes_of(SETS[name])
    shape = fixed_shape(n_node, n_edge, batch_size)
    plans = [pack(n_node, n_edge, shape, batch_size, np.random.default_rng([3, epoch])) for epoch in range(20)]
    for plan in [*plans, pack_tightly(n_node, n_edge, shape)]:
        nodes, edges = padding(plan, n_node, n_edge)
        assert 0 <= nodes < 0.08
        assert 0 <= edges < 0.08
        assert {item.shape for item in plan} == {shape}


@pytest.mark.parametrize(("name", "batch_size"), list(itertools.product(SETS, (8, 64))))
def test_batches_hold_batch_size_structures_on_average_and_vary_little(name, batch_size):
    n_node, n_edge = sizes_of(SETS[name])
    shape = fixed_shape(n_node, n_edge, batch_size)
    batches = number_of_batches(len(n_node), batch_size)
    assert batches == 1 or abs(batches * batch_size - len(n_node)) <= batch_size / 2
    for epoch in range(20):
        plan = pack(n_node, n_edge, shape, batch_size, np.random.default_rng([0, epoch]))
        assert len(plan) == batches
        counts = np.array([len(item.indices) for item in plan])
        assert np.abs(counts - counts.mean()).max() <= max(2, 0.1 * counts.mean())


@pytest.mark.parametrize("batch_size", [8, 16, 32, 64])
@pytest.mark.parametrize("frames_each", [10, 20, 25])
def test_small_sets_need_no_extra_batch_in_training_or_evaluation(batch_size, frames_each):
    """One batch more would be a third or a quarter of all."""
    n_node, n_edge = sizes_of(np.repeat([3, 4, 5, 6], frames_each))
    shape = fixed_shape(n_node, n_edge, batch_size)
    batches = number_of_batches(len(n_node), batch_size)
    assert len(pack_tightly(n_node, n_edge, shape)) <= batches
    for epoch in range(50):
        assert len(pack(n_node, n_edge, shape, batch_size, np.random.default_rng(epoch))) == batches


def test_padding_is_the_share_of_slots_that_hold_nothing():
    n_node, n_edge = np.array([3, 4, 2]), np.array([6, 12, 2])
    plan = [Packed(BatchShape(8, 40, 4), np.array([0, 1])), Packed(BatchShape(4, 10, 4), np.array([2]))]
    assert padding(plan, n_node, n_edge) == pytest.approx((1 - 9 / 12, 1 - 20 / 50))


def test_the_seed_decides_company_and_order():
    n_node, n_edge = sizes_of(SETS["C2-C6"])
    shape = fixed_shape(n_node, n_edge, 8)

    def plan(seed: int) -> list[frozenset[int]]:
        packed = pack(n_node, n_edge, shape, 8, np.random.default_rng(seed))
        return [frozenset(item.indices.tolist()) for item in packed]

    assert plan(0) == plan(0)
    assert not set(plan(0)) & set(plan(1))


def test_partners_are_random():
    """Two structures share a batch about as often as chance would have it, whichever they are."""
    n_node, n_edge = sizes_of(SETS["C2-C6"])
    shape = fixed_shape(n_node, n_edge, 8)
    together = np.zeros((len(n_node),) * 2)
    epochs = 300
    for epoch in range(epochs):
        for item in pack(n_node, n_edge, shape, 8, np.random.default_rng([0, epoch])):
            together[np.ix_(item.indices, item.indices)] += 1
    share = together[np.triu_indices(len(n_node), 1)] / epochs
    assert share.mean() == pytest.approx(7 / 199, rel=0.02)
    assert share.max() < 0.15


def test_the_batch_of_the_largest_structure_may_come_at_any_place():
    """Dealing puts it into the first batch: the order of the batches must be shuffled afterwards."""
    n_node, n_edge = sizes_of([*range(2, 7)] * 39 + [9])
    shape = fixed_shape(n_node, n_edge, 8)
    places = []
    for seed in range(100):
        plan = pack(n_node, n_edge, shape, 8, np.random.default_rng(seed))
        places.append(next(place for place, item in enumerate(plan) if len(n_node) - 1 in item.indices))
    assert np.mean(places) == pytest.approx((number_of_batches(len(n_node), 8) - 1) / 2, abs=3.0)
    assert len(set(places)) > 15


def test_a_frame_larger_than_the_mean_batch_sets_the_capacity():
    n_node, n_edge = np.array([5] * 20 + [300]), np.array([20] * 20 + [9000])
    shape = fixed_shape(n_node, n_edge, 4)
    assert shape.n_node > 300
    assert shape.n_edge >= 9000
    assert_whole_and_within(pack(n_node, n_edge, shape, 4, np.random.default_rng(0)), n_node, n_edge)


def test_a_structure_too_large_for_the_shape_is_named():
    with pytest.raises(DataError, match=r"frame 1 of the set has 9 atoms and 30 edges.*10 nodes and 29 edges"):
        pack_tightly(np.array([2, 9]), np.array([2, 30]), BatchShape(10, 29, 3))
    with pytest.raises(DataError, match="frame 0 of the set"):  # no node left for padding
        pack_tightly(np.array([10]), np.array([2]), BatchShape(10, 29, 3))


def test_nothing_to_pack_and_senseless_batch_sizes_are_refused():
    none = np.zeros(0, np.int64)
    with pytest.raises(DataError, match="no frames"):
        fixed_shape(none, none, 8)
    with pytest.raises(DataError, match="batch size is 0"):
        fixed_shape(np.array([3]), np.array([6]), 0)


def test_fifty_thousand_structures_take_seconds_at_most():
    """Guards against quadratic work: 50,000 × 6,000 comparisons would take minutes."""
    rng = np.random.default_rng(0)
    n_node = rng.integers(8, 46, 50_000)
    n_edge = (n_node * np.minimum(n_node - 1, 20)).astype(np.int64)
    shape = BatchShape(int(8 * n_node.mean() * 1.05), int(8 * n_edge.mean() * 1.05), 20)
    assert_whole_and_within(pack(n_node, n_edge, shape, 8, rng), n_node, n_edge)
