import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.equivariant.pairs import undirected_pairs


def graph(n_node, density, padding, seed=0):
    """Edges in both directions, sorted by receiver, then padding edges; and their vectors."""
    rng = np.random.default_rng(seed)
    near = np.triu(rng.random((n_node, n_node)) < density, 1)
    receivers, senders = np.nonzero(near | near.T)
    positions = rng.normal(size=(n_node + 1, 3))
    senders, receivers = (np.append(ends, [n_node] * padding).astype(np.int32) for ends in (senders, receivers))
    return positions[receivers] - positions[senders], senders, receivers


@pytest.mark.parametrize("padding", [0, 1, 6])
def test_both_directions_have_one_pair(padding):
    vectors, senders, receivers = graph(9, 0.5, padding)
    n_real = len(senders) - padding
    pairs = jax.jit(undirected_pairs)(vectors, senders, receivers)
    assert pairs.vectors.shape == (len(senders) // 2 + 1, 3)
    rows = np.asarray(pairs.rows)
    assert (np.bincount(rows[:n_real]) == 2).all() and len(np.unique(rows[:n_real])) == n_real // 2
    assert (rows[n_real:] == len(senders) // 2).all(), "padding edges share the row that never is a pair"
    found = np.asarray(pairs.vectors)
    np.testing.assert_allclose(np.linalg.norm(found[rows], axis=1), np.linalg.norm(vectors, axis=1), rtol=1e-6)
    up = senders[:n_real] < receivers[:n_real]
    np.testing.assert_allclose(found[rows[:n_real][up]], vectors[:n_real][up], rtol=1e-6)
    assert (found[n_real // 2 :] == 0).all()


def test_an_edge_without_its_opposite_is_never_taken_for_a_pair():
    vectors, senders, receivers = graph(9, 0.5, 3)
    keep = np.arange(len(senders)) != 4
    pairs = undirected_pairs(jnp.asarray(vectors[keep]), jnp.asarray(senders[keep]), jnp.asarray(receivers[keep]))
    assert np.isnan(pairs.vectors).all()


def test_no_edges():
    pairs = undirected_pairs(jnp.zeros((0, 3)), jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.int32))
    assert pairs.vectors.shape == (1, 3) and (pairs.vectors == 0).all() and pairs.rows.shape == (0,)
