"""A padded batch that finds its own neighbours: the edges, energies and forces of the batching room."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from analytic import LennardJones, chain, engine, potential

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.dynamics.system import System, graph_at
from compbench_jax.errors import DataError
from compbench_jax.store.frames import Frames, offsets_of


def molecules(seed=0):
    rng = np.random.default_rng(seed)
    graphs = [chain([1, 6, 6, 1]), chain([8, 1]), chain([6, 8, 6, 6, 1, 1, 1])]
    return graphs, [2.0 * rng.normal(size=(graph.n_atoms, 3)) for graph in graphs]


def dataset(graphs, positions, cutoff, triplets, shape):
    frames = Frames(
        np.concatenate([graph.numbers for graph in graphs]),
        np.concatenate(positions).astype(np.float32),
        np.zeros((sum(map(len, positions)), 3), np.float32),
        np.zeros(len(graphs)),
        np.arange(len(graphs), dtype=np.int32),
        offsets_of([graph.n_atoms for graph in graphs]),
    )
    made = GraphDataset.build(
        frames,
        elements=(1, 6, 8),
        reference_energies=(0.0, 0.0, 0.0),
        cutoff=cutoff,
        batch_size=3,
        triplets=triplets,
        graphs=graphs,
        shape=shape,
    )
    return made.batch(Packed(made.shape, np.arange(len(graphs))))


@pytest.mark.parametrize("seed", range(3))
def test_batches_are_those_of_the_batching_room(seed):
    graphs, positions = molecules(seed)
    told = {"bonded": True} if seed else {"prior": replace(potential(LennardJones()), bonded=True)}
    whole = replace(potential(LennardJones(), cutoff=3.0), triplets=True, **told)
    system = System(whole, graphs)
    nodes = system.pad(np.concatenate(positions))
    found = system.settle(lambda room: jax.device_get(graph_at(whole, system.layout, room, jnp.asarray(nodes))), nodes)
    shape = BatchShape(system.shape.n_node, system.room.n_edge, system.shape.n_graph, system.room.n_incoming)
    wanted = dataset(graphs, positions, 3.0, True, shape)
    for name in ("senders", "receivers", "n_node"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    np.testing.assert_array_equal(found.n_edge[:3], wanted.n_edge[:3])
    np.testing.assert_array_equal(found.edges["triplets"], wanted.edges["triplets"])
    for name in ("positions", "species", "neighbours", "keys"):
        np.testing.assert_array_equal(found.nodes[name], wanted.nodes[name])


def test_room_grows_when_molecules_fold_and_energies_stay_right():
    graphs, positions = molecules()
    lennard_jones = engine(LennardJones(), cutoff=3.0)
    system = System(lennard_jones.potential, graphs)
    rooms = []
    for size in (3.0, 1.0, 3.0):
        at = np.concatenate(positions) * size
        energy, forces = lennard_jones.energy_and_forces(system, at)
        rooms.append(system.room.n_edge)
        for k, own in enumerate(system.split(at)):
            vectors = own[:, None] - own[None]
            square = (vectors**2).sum(-1) + 1e9 * np.eye(len(own))
            ratio = np.where(square < 9.0, 4.0 / square, 0.0) ** 3
            assert energy[k] == pytest.approx(2 * 0.05 * (ratio**2 - ratio).sum(), rel=1e-4)
            pull = (24 * 0.05 * (2 * ratio**2 - ratio) / square)[:, :, None] * vectors
            np.testing.assert_allclose(system.split(forces)[k], pull.sum(axis=1), rtol=1e-3, atol=1e-4)
    assert rooms[0] <= rooms[1] == rooms[2]


def test_an_element_that_the_potential_does_not_know_is_named():
    with pytest.raises(DataError, match="nitrous contains N, the potential knows only H, C, O"):
        System(potential(LennardJones()), [chain([7, 1], name="nitrous")])
