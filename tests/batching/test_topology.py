import numpy as np
import pytest

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.topology import MAX_BONDS, graph_topology, topology_of
from compbench_jax.errors import DataError
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.store.frames import Frames, offsets_of


def graph(numbers, bonds, name="made up"):
    numbers = np.array(numbers, np.int32)
    pairs = np.array(sorted(tuple(sorted(pair)) for pair in bonds), np.int32).reshape(-1, 2)
    return MolecularGraph(Molecule(name, "", name, ""), numbers, pairs, np.zeros((len(numbers), 5), np.uint32))


METHANOL = graph([6, 8, 1, 1, 1, 1], [(0, 1), (0, 2), (0, 3), (0, 4), (1, 5)], "methanol")
WATER = graph([8, 1, 1], [(0, 1), (0, 2)], "water")


def frames_of(*graphs):
    rng = np.random.default_rng(0)
    numbers = np.concatenate([g.numbers for g in graphs])
    return Frames(
        numbers=numbers,
        positions=rng.normal(size=(len(numbers), 3)).astype(np.float32),
        forces=rng.normal(size=(len(numbers), 3)).astype(np.float32),
        energy=rng.normal(size=len(graphs)),
        molecule=np.arange(len(graphs), dtype=np.int32),
        offsets=offsets_of([g.n_atoms for g in graphs]),
    )


def test_neighbours_are_the_bonds_and_then_the_atom_itself():
    neighbours = graph_topology(METHANOL).neighbours
    assert neighbours.shape == (6, MAX_BONDS)
    assert sorted(neighbours[0]) == [1, 2, 3, 4]
    assert neighbours[1].tolist() == [0, 5, 1, 1]
    assert neighbours[5].tolist() == [1, 5, 5, 5]


def test_keys_name_environments():
    keys = graph_topology(METHANOL).keys
    assert len(set(keys[2:, 0])) == 1, "hydrogens have one bond each"
    assert len(set(keys[2:5, 1])) == 1
    assert keys[5, 1] != keys[4, 1], "the hydroxyl hydrogen has another neighbour"
    assert keys[0, 0] != keys[1, 0]
    assert graph_topology(WATER).keys[1, 0] == keys[5, 0]
    assert graph_topology(WATER).keys[1, 1] == graph_topology(WATER).keys[2, 1]


def test_keys_do_not_depend_on_the_order_of_atoms():
    order = np.random.default_rng(3).permutation(6)
    place = np.argsort(order)
    shuffled = graph(METHANOL.numbers[order], [(place[i], place[j]) for i, j in METHANOL.bonds])
    np.testing.assert_array_equal(graph_topology(shuffled).keys, graph_topology(METHANOL).keys[order])


def test_five_bonds_are_refused_in_one_line():
    crowded = graph([15, *[9] * 5], [(0, i) for i in range(1, 6)], "PF5")
    with pytest.raises(DataError, match="atom 0 of PF5 has 5 bonds") as caught:
        graph_topology(crowded)
    assert "\n" not in str(caught.value)


def test_no_frames():
    topology = topology_of(frames_of(WATER).__class__(*[np.zeros((0, 3))] * 5, np.zeros(1, np.int64)), [])
    assert topology.neighbours.shape == (0, MAX_BONDS)


def test_batches_carry_shifted_neighbours_and_padding_has_none():
    frames = frames_of(METHANOL, WATER)
    dataset = GraphDataset.build(
        frames,
        elements=(1, 6, 8),
        reference_energies=(0, 0, 0),
        cutoff=3.0,
        batch_size=2,
        graphs=[METHANOL, WATER],
    )
    item = dataset.sequential()[0]
    batch = dataset.batch(item)
    first = 0
    for index in item.indices:
        topology = graph_topology([METHANOL, WATER][index])
        rows = slice(first, first + len(topology.keys))
        np.testing.assert_array_equal(batch.nodes["neighbours"][rows], topology.neighbours + first)
        np.testing.assert_array_equal(batch.nodes["keys"][rows], topology.keys)
        first = rows.stop
    padding = np.arange(first, len(batch.nodes["species"]))
    assert len(padding)
    assert (batch.nodes["neighbours"][padding] == padding[:, None]).all()
    assert (
        "neighbours"
        not in GraphDataset.build(frames, elements=(1, 6, 8), reference_energies=(0, 0, 0), cutoff=3.0, batch_size=2)
        .batch(item)
        .nodes
    )
