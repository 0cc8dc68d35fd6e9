import jax
import numpy as np
import pytest
from chain_frames import chain_frames

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.device import assemble, device_frames, frame_slots, size_on_device
from compbench_jax.batching.packing import Packed
from compbench_jax.batching.parts import cut, part_shape
from compbench_jax.models.precision import prepare_precision
from compbench_jax.molecules.molecule import MolecularGraph, Molecule

SETTINGS = {"elements": (1, 6, 8), "reference_energies": (-13.1, -1030.7, -2040.3), "cutoff": 5.0}


@pytest.fixture(scope="module")
def dataset():
    return GraphDataset.build(chain_frames([2, 3, 4, 5, 6] * 8), batch_size=4, **SETTINGS)


@pytest.fixture
def restored():
    """Leaves JAX as it was."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def alkane(n):
    """Bonds of ``chain_frames.chain``."""
    ends = [(0, 3 * n), (n - 1, 3 * n + 1)]
    bonds = [(i, i + 1) for i in range(n - 1)] + [(i, k * n + i) for i in range(n) for k in (1, 2)] + ends
    numbers = np.array([6] * n + [1] * (2 * n + 2), np.int32)
    pairs = np.array(sorted(bonds), np.int32)
    return MolecularGraph(Molecule(f"C{n}", "", f"C{n}", ""), numbers, pairs, np.zeros((len(numbers), 5), np.uint32))


def assert_same_batch(dataset, program, data, item):
    expected = dataset.batch(item)
    got = program(data, frame_slots(item.indices, item.shape), item.shape)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_batches_gathered_on_the_device_equal_those_of_the_host_bit_for_bit(dataset):
    program, data = jax.jit(assemble, static_argnums=2), jax.device_put(device_frames(dataset))
    # Epochs as trained, one frame, none at all, the last frame, and a batch filled to the brim.
    plans = [*dataset.epoch(0, 0), *dataset.epoch(1, 7)]
    alone = [np.array([dataset.n_frames - 1]), np.array([], np.int64), np.array([3, 0])]
    for item in [*plans, *(Packed(dataset.shape, indices) for indices in alone)]:
        assert_same_batch(dataset, program, data, item)
    indices = plans[0].indices
    shape = dataset.shape._replace(
        n_node=int(dataset.frames.n_atoms[indices].sum()) + 1,
        n_edge=int(dataset.edges.n_edges[indices].sum()),
        n_graph=len(indices) + 1,
    )
    assert_same_batch(dataset, program, data, Packed(shape, indices))


@pytest.mark.parametrize("extra", ["triplets", "bonds", "float64"])
def test_batches_with_triplets_bonds_or_float64_are_equal_too(extra, restored):
    more = {
        "triplets": {"triplets": True},
        "bonds": {"graphs": [alkane(n) for n in range(2, 7)]},
        "float64": {"triplets": True, "graphs": [alkane(n) for n in range(2, 7)], "dtype": np.float64},
    }[extra]
    if extra == "float64":
        prepare_precision("float64")
    dataset = GraphDataset.build(chain_frames([2, 3, 4, 5, 6] * 4), batch_size=4, **SETTINGS, **more)
    assert (dataset.shape.n_incoming > 0) == (extra != "bonds")
    program, data = jax.jit(assemble, static_argnums=2), jax.device_put(device_frames(dataset))
    empty = Packed(dataset.shape, np.array([], np.int64))
    for item in [*dataset.epoch(0, 0), empty, Packed(dataset.shape, np.array([19, 3]))]:
        assert_same_batch(dataset, program, data, item)


def test_size_counts_every_array(dataset):
    n_atoms, n_edges, n_frames = len(dataset.species), len(dataset.edges.senders), dataset.n_frames
    assert size_on_device(dataset) == 4 * (7 * n_atoms + 2 * n_edges + 2 * (n_frames + 1) + n_frames)


@pytest.mark.parametrize("n_parts", [1, 2, 3, 4])
def test_parts_of_a_batch_are_its_frames_in_smaller_shapes(dataset, n_parts):
    shape = part_shape(dataset, n_parts)
    assert all(a <= b for a, b in zip(shape, dataset.shape, strict=True))
    assert n_parts == 1 or shape.n_edge < dataset.shape.n_edge
    for item in dataset.epoch(3, 11):
        parts = cut(dataset, item.indices, n_parts, shape)
        if parts is None:
            parts = cut(dataset, item.indices, n_parts, dataset.shape)
        assert len(parts) == n_parts
        assert sorted(np.concatenate(parts)) == sorted(item.indices)
        again = cut(dataset, item.indices, n_parts, dataset.shape)
        assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_a_batch_whose_parts_do_not_fit_is_refused(dataset):
    shape = part_shape(dataset, 2)
    item = dataset.epoch(0, 0)[0]
    assert cut(dataset, item.indices, 2, shape._replace(n_edge=16)) is None
    assert cut(dataset, item.indices, 2, shape._replace(n_graph=1)) is None
    assert cut(dataset, item.indices, 2, dataset.shape) is not None


def test_more_parts_than_frames_leaves_parts_empty(dataset):
    parts = cut(dataset, np.array([5, 6]), 4, dataset.shape)
    assert [len(part) for part in parts] == [1, 1, 0, 0]
