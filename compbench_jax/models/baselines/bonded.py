"""Bonded topology on the device: an angle is two bonds into one atom, a torsion two bonds into the ends of a third.

Bonds come as arrays of fixed width (:mod:`compbench_jax.batching.topology`), so that angles, torsions and the bonds
between two atoms follow by indexing, whatever the padding. A type is a small integer; one that did not occur in
training has the number one past the last. A term is typed by a pair of types, in either order.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Bonds(NamedTuple):
    """Bonds of the nodes of a batch.

    Attributes:
        neighbours: bonded nodes, int32 ``[n_node, 4]``; the node itself where there is no bond.
        vectors: from a node to its neighbours, Å ``[n_node, 4, 3]``.
        keys: names of the node's environment, int32 ``[n_node, 2]``.
    """

    neighbours: jax.Array
    vectors: jax.Array
    keys: jax.Array

    @property
    def present(self) -> jax.Array:
        """Whether there is a bond, bool ``[n_node, 4]``."""
        return self.neighbours != jnp.arange(self.neighbours.shape[0])[:, None]


class Terms(NamedTuple):
    """Terms of one kind: functions of a few vectors between atoms.

    Attributes:
        vectors: Å ``[n_term, n_vector, 3]``.
        tails, heads: nodes that each vector leads from and to, int32 ``[n_term, n_vector]``.
        weight: 0 for a place that holds no term; otherwise 1 divided by how often the term is listed ``[n_term]``.
        owner: node that the energy is counted to, int32 ``[n_term]``.
        keys: for each level of typing the place of the term in the table of its kind, int32 ``[n_term]`` each: the two
            types (and first, for pairs, whether they are three bonds apart).
    """

    vectors: jax.Array
    tails: jax.Array
    heads: jax.Array
    weight: jax.Array
    owner: jax.Array
    keys: tuple[tuple[jax.Array, ...], ...]


def lookup(known: jax.Array | np.ndarray, keys: jax.Array) -> jax.Array:
    """Places of integers in the sorted table ``known``, or its length for those not in it."""
    known = jnp.asarray(known)
    if not known.shape[0]:
        return jnp.zeros(keys.shape, jnp.int32)
    place = jnp.searchsorted(known, keys)
    return jnp.where(known[jnp.minimum(place, known.shape[0] - 1)] == keys, place, known.shape[0]).astype(jnp.int32)


def bond_terms(bonds: Bonds, atoms: tuple[jax.Array, ...]) -> Terms:
    """All bonds, each listed from both ends.

    Args:
        bonds: of the batch.
        atoms: for each level of typing the types of the nodes ``[n_node]``.
    """
    n_node, width = bonds.neighbours.shape
    tails = jnp.broadcast_to(jnp.arange(n_node)[:, None], (n_node, width))
    return Terms(
        vectors=bonds.vectors.reshape(-1, 1, 3),
        tails=tails.reshape(-1, 1),
        heads=bonds.neighbours.reshape(-1, 1),
        weight=0.5 * bonds.present.ravel(),
        owner=tails.ravel(),
        keys=tuple((types[tails].ravel(), types[bonds.neighbours].ravel()) for types in atoms),
    )


def angle_terms(bonds: Bonds, incoming: tuple[jax.Array, ...]) -> Terms:
    """All angles, each once: two different bonds of one atom. Vectors lead from the centre outwards.

    Args:
        bonds: of the batch.
        incoming: for each level of typing the types of the bonds into each node ``[n_node, 4]``.
    """
    first, second = np.triu_indices(bonds.neighbours.shape[1], 1)
    n_node, present = bonds.neighbours.shape[0], bonds.present
    centre = jnp.broadcast_to(jnp.arange(n_node)[:, None], (n_node, len(first))).ravel()
    return Terms(
        vectors=jnp.stack([bonds.vectors[:, first], bonds.vectors[:, second]], axis=2).reshape(-1, 2, 3),
        tails=jnp.stack([centre, centre], axis=1),
        heads=jnp.stack([bonds.neighbours[:, first], bonds.neighbours[:, second]], axis=2).reshape(-1, 2),
        weight=1.0 * (present[:, first] & present[:, second]).ravel(),
        owner=centre,
        keys=tuple((types[:, first].ravel(), types[:, second].ravel()) for types in incoming),
    )


def torsion_terms(bonds: Bonds, incoming: tuple[jax.Array, ...]) -> Terms:
    """All torsions i–j–k–l, each listed from both ends. Vectors are j → i, j → k and k → l."""
    n_node, width = bonds.neighbours.shape
    # Of atom j: slot a leads to i, slot b to k; of atom k: slot c leads to l.
    a, b, c = (index.ravel() for index in np.meshgrid(*[np.arange(width)] * 3, indexing="ij"))
    a, b, c = a[a != b], b[a != b], c[a != b]
    j = jnp.broadcast_to(jnp.arange(n_node)[:, None], (n_node, len(a)))
    i, k = bonds.neighbours[:, a], bonds.neighbours[:, b]
    last = bonds.neighbours[k, c]
    present = bonds.present
    # A ring of three would make i and l the same atom: no torsion.
    exists = present[:, a] & present[:, b] & present[k, c] & (last != j) & (last != i)
    vectors = jnp.stack([bonds.vectors[:, a], bonds.vectors[:, b], bonds.vectors[k, c]], axis=2)
    return Terms(
        vectors=vectors.reshape(-1, 3, 3),
        tails=jnp.stack([j, j, k], axis=2).reshape(-1, 3),
        heads=jnp.stack([i, k, last], axis=2).reshape(-1, 3),
        weight=0.5 * exists.ravel(),
        owner=j.ravel(),
        keys=tuple((types[:, a].ravel(), types[k, c].ravel()) for types in incoming),
    )


def pair_terms(
    bonds: Bonds,
    vectors: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
    atoms: tuple[jax.Array, ...],
) -> Terms:
    """All pairs of the neighbour list that are neither bonded nor bonded to one atom, each listed from both ends.

    Pairs three bonds apart ("1-4") have types of their own: the first part of their key is 1.
    """
    near, far = bonds.neighbours[senders], bonds.neighbours[receivers]
    bonded = (near == receivers[:, None]).any(axis=1)
    geminal = (near[:, :, None] == far[:, None, :]).any(axis=(1, 2))
    vicinal = (bonds.neighbours[near].reshape(len(senders), -1, 1) == far[:, None, :]).any(axis=(1, 2))
    return Terms(
        vectors=vectors[:, None],
        tails=senders[:, None],
        heads=receivers[:, None],
        weight=0.5 * ~(bonded | geminal | (senders == receivers)),
        owner=receivers,
        keys=tuple((vicinal.astype(jnp.int32), types[senders], types[receivers]) for types in atoms),
    )
