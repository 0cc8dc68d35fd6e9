"""Frames that live on the device, and batches gathered from them there: what ``GraphDataset.batch`` does, in JAX.

A training step then needs from the host the numbers of its frames only, a few hundred bytes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jraph
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.packing import MOST, BatchShape

Array = Any
"""An array of NumPy before it is put on a device, of JAX after."""


class DeviceFrames(NamedTuple):
    """A :class:`GraphDataset` as arrays; atoms and edges of frame ``i`` stand at ``offsets[i]:offsets[i + 1]``.

    Attributes:
        positions, forces: ``[n_atoms, 3]``, of the dtype of the batches, Å and eV/Å.
        species: int32 ``[n_atoms]``.
        senders, receivers: int32 ``[n_edges]``, within the frame.
        atom_offsets, edge_offsets: int32 ``[n_frames + 1]``, see :func:`countable`.
        targets: ``[n_frames]``, of the same dtype, interaction energies, eV.
        neighbours, keys: int32 ``[n_atoms, …]``, of the topology; None without.
    """

    positions: Array
    forces: Array
    species: Array
    senders: Array
    receivers: Array
    atom_offsets: Array
    edge_offsets: Array
    targets: Array
    neighbours: Array = None
    keys: Array = None


def device_frames(dataset: GraphDataset) -> DeviceFrames:
    """The arrays of a data set, in NumPy, ready to be put on a device."""
    topology = dataset.topology
    return DeviceFrames(
        positions=np.asarray(dataset.frames.positions, dataset.targets.dtype),
        forces=np.asarray(dataset.frames.forces, dataset.targets.dtype),
        species=dataset.species,
        senders=dataset.edges.senders,
        receivers=dataset.edges.receivers,
        atom_offsets=np.asarray(dataset.frames.offsets, np.int32),
        edge_offsets=np.asarray(dataset.edges.offsets, np.int32),
        targets=dataset.targets,
        neighbours=None if topology is None else topology.neighbours,
        keys=None if topology is None else topology.keys,
    )


def size_on_device(dataset: GraphDataset) -> int:
    """Bytes that :func:`device_frames` takes."""
    return sum(array.nbytes for array in device_frames(dataset) if array is not None)


def countable(dataset: GraphDataset) -> bool:
    """Whether the 32-bit integers of a device can number the atoms and edges of a data set."""
    return max(dataset.frames.offsets[-1], dataset.edges.offsets[-1]) <= MOST


def frame_slots(indices: np.ndarray, shape: BatchShape) -> np.ndarray:
    """Frames of one batch as :func:`assemble` wants them: int32 ``[shape.n_graph]``, −1 in the places that are left."""
    slots = np.full(shape.n_graph, -1, np.int32)
    slots[: len(indices)] = indices
    return slots


def assemble(data: DeviceFrames, slots: jax.Array, shape: BatchShape) -> jraph.GraphsTuple:
    """One padded batch, equal bit for bit to that of :meth:`GraphDataset.batch`.

    Args:
        data: frames on the device.
        slots: int32 ``[shape.n_graph]``, see :func:`frame_slots`. Not checked: the frames must fit the shape.
        shape: array sizes, static.
    """
    real = slots >= 0
    frame = jnp.where(real, slots, 0)
    atom_start, edge_start = data.atom_offsets[frame], data.edge_offsets[frame]
    atoms = jnp.where(real, data.atom_offsets[frame + 1] - atom_start, 0)
    edges = jnp.where(real, data.edge_offsets[frame + 1] - edge_start, 0)
    # In 64-bit JAX too, sums and ranges are int32, as on the host.
    first_node, n_atoms = jnp.cumsum(atoms, dtype=jnp.int32) - atoms, atoms.sum(dtype=jnp.int32)

    node_row, node_real, node_owner = _rows(atom_start, atoms, shape.n_node)
    edge_row, edge_real, edge_owner = _rows(edge_start, edges, shape.n_edge)
    shift = first_node[edge_owner]
    nodes = {
        "positions": jnp.where(node_real[:, None], data.positions[node_row], 0.0),
        "species": jnp.where(node_real, data.species[node_row], 0),
        "forces": jnp.where(node_real[:, None], data.forces[node_row], 0.0),
    }
    if data.neighbours is not None:
        own = jnp.arange(shape.n_node, dtype=jnp.int32)[:, None]
        bonded = data.neighbours[node_row] + first_node[node_owner][:, None]
        nodes["neighbours"] = jnp.where(node_real[:, None], bonded, own)
        nodes["keys"] = jnp.where(node_real[:, None], data.keys[node_row], 0)
    senders = jnp.where(edge_real, data.senders[edge_row] + shift, n_atoms)
    receivers = jnp.where(edge_real, data.receivers[edge_row] + shift, n_atoms)
    # The first empty place is that of the padding graph, which owns what is left of nodes and edges.
    padding = jnp.arange(shape.n_graph) == real.sum()
    return jraph.GraphsTuple(
        nodes=nodes,
        edges=_triplets(receivers, edge_real, shape),
        senders=senders,
        receivers=receivers,
        n_node=jnp.where(padding, shape.n_node - n_atoms, atoms),
        n_edge=jnp.where(padding, shape.n_edge - edges.sum(dtype=jnp.int32), edges),
        globals={"energy": jnp.where(real, data.targets[frame], 0.0), "frame": slots},
    )


def _rows(starts: jax.Array, lengths: jax.Array, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rows that belong to the pieces ``starts[i]:starts[i] + lengths[i]``, one piece after the other.

    Returns:
        row ``[size]`` (0 at padding), whether it is real, and the piece that it belongs to.
    """
    place = jnp.arange(size)
    owner = jnp.repeat(jnp.arange(len(lengths)), lengths, total_repeat_length=size)
    real = place < lengths.sum()
    first = jnp.cumsum(lengths) - lengths
    return jnp.where(real, starts[owner] + place - first[owner], 0), real, owner


def _triplets(receivers: jax.Array, real: jax.Array, shape: BatchShape) -> dict[str, jax.Array] | None:
    """The table of edges that end at each node, for shapes with room for it."""
    width = shape.n_incoming
    if not width:
        return None
    # Receivers ascend and padding edges end at the first padding node, so they are sorted as a whole.
    first = jnp.searchsorted(receivers, jnp.arange(shape.n_node))
    edge = jnp.arange(shape.n_edge, dtype=jnp.int32)
    place = jnp.where(real, edge - first[receivers], width)
    table = jnp.full((shape.n_node, width), shape.n_edge, jnp.int32)
    return {"triplets": table.at[receivers, place].set(edge, mode="drop")}
