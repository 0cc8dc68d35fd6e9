import dataclasses

import jax
import jraph
import numpy as np
import pytest
from chain_frames import chain_frames

from compbench_jax.batching.dataset import GraphDataset, compositions
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.errors import DataError

ELEMENTS, REFERENCE = (1, 6, 8), (-13.1, -1030.7, -2040.3)


def build(lengths, batch_size=4, **changes) -> GraphDataset:
    settings = {"elements": ELEMENTS, "reference_energies": REFERENCE, "cutoff": 5.0} | changes
    return GraphDataset.build(chain_frames(lengths), batch_size=batch_size, **settings)


@pytest.fixture(scope="module")
def dataset() -> GraphDataset:
    return build([2, 3, 4, 5, 6] * 8)


def assert_layout(dataset: GraphDataset, item: Packed, graph: jraph.GraphsTuple) -> None:
    """Every promise of the layout, frame by frame and edge by edge."""
    shape, indices = item
    frames, n_real = dataset.frames, len(item.indices)
    assert graph.nodes["positions"].shape == graph.nodes["forces"].shape == (shape.n_node, 3)
    assert graph.nodes["species"].shape == (shape.n_node,)
    assert graph.senders.shape == graph.receivers.shape == (shape.n_edge,)
    assert graph.n_node.shape == graph.n_edge.shape == (shape.n_graph,)
    assert graph.edges is None
    floats = [graph.nodes["positions"], graph.nodes["forces"], graph.globals["energy"]]
    integers = [graph.nodes["species"], graph.senders, graph.receivers, graph.n_node, graph.n_edge]
    assert all(array.dtype == np.float32 for array in floats)
    assert all(array.dtype == np.int32 for array in [*integers, graph.globals["frame"]])
    assert graph.n_node.sum() == shape.n_node
    assert graph.n_edge.sum() == shape.n_edge
    assert graph.n_node[n_real] > 0  # the padding graph
    assert not graph.n_node[n_real + 1 :].any()
    assert not graph.n_edge[n_real + 1 :].any()
    assert graph.globals["frame"].tolist() == indices.tolist() + [-1] * (shape.n_graph - n_real)
    assert (np.diff(graph.receivers) >= 0).all()

    node = edge = 0
    for slot, index in enumerate(indices):
        start, stop = frames.offsets[index], frames.offsets[index + 1]
        n = int(stop - start)
        assert graph.n_node[slot] == n
        np.testing.assert_array_equal(graph.nodes["positions"][node : node + n], frames.positions[start:stop])
        np.testing.assert_array_equal(graph.nodes["forces"][node : node + n], frames.forces[start:stop])
        numbers = np.array(dataset.elements)[graph.nodes["species"][node : node + n]]
        np.testing.assert_array_equal(numbers, frames.numbers[start:stop])
        first, last = dataset.edges.offsets[index], dataset.edges.offsets[index + 1]
        m = int(last - first)
        assert graph.n_edge[slot] == m
        np.testing.assert_array_equal(graph.senders[edge : edge + m] - node, dataset.edges.senders[first:last])
        np.testing.assert_array_equal(graph.receivers[edge : edge + m] - node, dataset.edges.receivers[first:last])
        node, edge = node + n, edge + m
    assert node < shape.n_node
    assert (graph.senders[edge:] == node).all()
    assert (graph.receivers[edge:] == node).all()
    for array in (*graph.nodes.values(), graph.globals["energy"]):
        padding = array[node:] if len(array) == shape.n_node else array[n_real:]
        assert not padding.any()


def test_layout_of_every_batch_of_an_epoch_and_of_the_evaluation(dataset):
    for item in [*dataset.epoch(0, 0), *dataset.sequential()]:
        assert_layout(dataset, item, dataset.batch(item))


def test_a_hand_made_batch(dataset):
    item = Packed(BatchShape(60, 700, 5), np.array([3, 0, 1]))
    assert_layout(dataset, item, dataset.batch(item))


def test_a_batch_that_does_not_fit_is_an_error(dataset):
    fits = [(40, 1000, 4), (37, 1000, 4)]
    for shape in fits:  # 17 + 8 + 11 atoms
        dataset.batch(Packed(BatchShape(*shape), np.array([3, 0, 1])))
    for shape in [(36, 1000, 4), (40, 300, 4), (40, 1000, 3)]:
        with pytest.raises(ValueError, match="do not fit"):
            dataset.batch(Packed(BatchShape(*shape), np.array([3, 0, 1])))


def test_targets_keep_the_millielectronvolts_of_large_totals():
    frames = chain_frames([2, 9])
    energy = np.array([2 * -1030.7 + 6 * -13.1 + 0.001, 9 * -1030.7 + 20 * -13.1 - 0.002])
    frames = dataclasses.replace(frames, energy=energy)
    dataset = GraphDataset.build(frames, elements=ELEMENTS, reference_energies=REFERENCE, cutoff=5.0, batch_size=2)
    np.testing.assert_allclose(dataset.targets, [0.001, -0.002], atol=1e-9)
    np.testing.assert_allclose(dataset.reference + dataset.targets, energy, rtol=0, atol=1e-9)
    graph = dataset.batch(dataset.sequential()[0])
    by_frame = dict(zip(graph.globals["frame"].tolist(), graph.globals["energy"].tolist(), strict=True))
    assert by_frame[0] == pytest.approx(0.001, abs=1e-8)
    assert by_frame[1] == pytest.approx(-0.002, abs=1e-8)


def test_epochs_are_deterministic_and_differ(dataset):
    def plan(seed, epoch):
        return [item.indices.tolist() for item in dataset.epoch(seed, epoch)]

    assert plan(0, 3) == plan(0, 3)
    assert len({str(plan(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    every = sorted(i for batch in plan(5, 7) for i in batch)
    assert every == list(range(dataset.n_frames))
    assert sorted(i for item in dataset.sequential() for i in item.indices) == every


def test_one_trace_serves_all_epochs_and_a_second_set_of_the_same_shape(dataset):
    traces = []

    @jax.jit
    def step(graph):
        traces.append(graph.nodes["positions"].shape)
        return graph.nodes["positions"].sum() + graph.globals["energy"].sum()

    other = build([2, 3, 4, 5, 6, 6, 5] * 3, shape=dataset.shape)
    plans = [(dataset, dataset.epoch(0, 0)), (dataset, dataset.epoch(0, 1)), (dataset, dataset.sequential())]
    for source, plan in [*plans, (other, other.sequential())]:
        for item in plan:
            step(source.batch(item)).block_until_ready()
    assert len(traces) == 1


def test_padding_of_a_plan(dataset):
    plan = dataset.epoch(0, 0)
    graphs = [dataset.batch(item) for item in plan]
    slots = sum(len(graph.nodes["species"]) for graph in graphs)
    real = sum(graph.n_node[graph.globals["frame"] >= 0].sum() for graph in graphs)
    nodes, edges = dataset.padding(plan)
    assert nodes == pytest.approx(1 - real / slots)
    assert edges == pytest.approx(1 - dataset.edges.n_edges.sum() / sum(len(graph.senders) for graph in graphs))


def test_compositions_count_the_atoms_of_each_element():
    counts = compositions(chain_frames([3, 2]), ELEMENTS)
    assert counts.tolist() == [[8, 3, 0], [6, 2, 0]]


def test_an_unknown_element_is_named_with_its_molecule():
    with pytest.raises(DataError, match=r"molecule 3 \(frame 1 of the set\) contains C, .* knows only H, N, O") as e:
        frames = chain_frames([2, 5])
        frames.numbers[:8] = 1
        compositions(frames, (1, 7, 8))
    assert "\n" not in str(e.value)
    with pytest.raises(DataError, match="contains C, the potential knows only H"):
        build([2], elements=(1,), reference_energies=(0.0,))


def test_elements_must_ascend():
    with pytest.raises(DataError, match="ascending"):
        build([2], elements=(6, 1), reference_energies=(0.0, 0.0))


@pytest.mark.parametrize(("field", "word"), [("positions", "position"), ("forces", "force"), ("energy", "energy")])
def test_a_number_that_is_not_finite_is_refused_with_its_frame(field, word):
    frames = chain_frames([2, 3, 4])
    getattr(frames, field)[-1] = np.nan
    with pytest.raises(DataError, match=rf"frame 2 of the set \(molecule 2\) has a {word} that is not finite"):
        GraphDataset.build(frames, elements=ELEMENTS, reference_energies=REFERENCE, cutoff=5.0, batch_size=2)


def test_no_frames_and_frames_beyond_a_given_shape_are_refused():
    with pytest.raises(DataError, match="no frames"):
        build([])
    with pytest.raises(DataError, match="frame 1 of the set has 26 atoms"):
        build([2, 8], shape=BatchShape(20, 400, 4))
