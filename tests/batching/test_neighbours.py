import dataclasses

import numpy as np
import pytest
from chain_frames import chain_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from compbench_jax.batching import neighbours
from compbench_jax.batching.neighbours import EdgeLists, neighbour_lists
from compbench_jax.errors import DataError
from compbench_jax.store.frames import Frames, offsets_of


def random_frames(sizes: list[int], seed: int = 0, box: float = 6.0) -> Frames:
    rng = np.random.default_rng(seed)
    total = sum(sizes)
    return Frames(
        numbers=np.ones(total, np.int32),
        positions=rng.uniform(0, box, (total, 3)).astype(np.float32),
        forces=np.zeros((total, 3), np.float32),
        energy=np.zeros(len(sizes)),
        molecule=np.arange(len(sizes), dtype=np.int32) + 7,
        offsets=offsets_of(sizes),
    )


def by_loops(frames: Frames, cutoff: float) -> list[list[tuple[int, int]]]:
    """(receiver, sender) pairs of each frame, one atom after the other."""
    answer = []
    for start, stop in zip(frames.offsets[:-1], frames.offsets[1:], strict=True):
        x = frames.positions[start:stop].astype(np.float64)
        n = len(x)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j and np.sum((x[i] - x[j]) ** 2) < cutoff**2]
        answer.append(pairs)
    return answer


def as_pairs(edges: EdgeLists) -> list[list[tuple[int, int]]]:
    return [
        list(zip(edges.receivers[a:b].tolist(), edges.senders[a:b].tolist(), strict=True))
        for a, b in zip(edges.offsets[:-1], edges.offsets[1:], strict=True)
    ]


@given(sizes=st.lists(st.integers(1, 12), max_size=12), seed=st.integers(0, 99), cutoff=st.floats(0.5, 9.0))
@settings(max_examples=50, deadline=None)
def test_every_pair_within_the_cutoff_sorted_by_receiver_then_sender(sizes, seed, cutoff):
    frames = random_frames(sizes, seed)
    edges = neighbour_lists(frames, cutoff)
    assert as_pairs(edges) == by_loops(frames, cutoff)
    assert edges.senders.dtype == edges.receivers.dtype == np.int32
    assert edges.offsets.dtype == np.int64
    assert edges.n_edges.sum() == len(edges.senders)


@pytest.mark.parametrize("pairs_at_once", [1, 300, 10**9])
def test_chunks_do_not_change_the_edges(monkeypatch, pairs_at_once):
    frames = chain_frames([2, 5, 3, 5, 5, 2, 9])
    whole = neighbour_lists(frames, 5.0)
    monkeypatch.setattr(neighbours, "PAIRS_AT_ONCE", pairs_at_once)
    cut = neighbour_lists(frames, 5.0)
    assert as_pairs(cut) == as_pairs(whole) == by_loops(frames, 5.0)


def test_a_large_frame_goes_through_the_tree_with_the_same_edges(monkeypatch):
    frames = random_frames([40, 600, 3], box=25.0)
    by_tree = neighbour_lists(frames, 4.0)
    monkeypatch.setattr(neighbours, "DENSE_LIMIT", 10**9)
    monkeypatch.setattr(neighbours, "cKDTree", None)
    dense = neighbour_lists(frames, 4.0)
    assert as_pairs(by_tree) == as_pairs(dense)
    assert by_tree.n_edges[1] > 1000


def test_the_cutoff_itself_is_outside_in_both_methods(monkeypatch):
    frames = random_frames([3])
    frames.positions[:] = [[0, 0, 0], [3, 0, 0], [0, np.nextafter(np.float32(3), np.float32(0)), 0]]
    expected = [[(0, 2), (2, 0)]]
    assert as_pairs(neighbour_lists(frames, 3.0)) == expected
    monkeypatch.setattr(neighbours, "DENSE_LIMIT", 0)
    assert as_pairs(neighbour_lists(frames, 3.0)) == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_position_that_is_not_finite_is_refused_with_its_frame(bad):
    frames = random_frames([4, 2, 5])
    frames.positions[4, 1] = bad
    with pytest.raises(DataError, match=r"frame 1 of the set \(molecule 8\) has a position that is not finite") as e:
        neighbour_lists(frames, 5.0)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, np.nan, np.inf])
def test_a_senseless_cutoff_is_refused(cutoff):
    with pytest.raises(DataError, match="cutoff"):
        neighbour_lists(random_frames([2]), cutoff)


def test_no_frames_have_no_edges():
    edges = neighbour_lists(dataclasses.replace(random_frames([])), 5.0)
    assert edges.offsets.tolist() == [0]
    assert len(edges.senders) == 0
