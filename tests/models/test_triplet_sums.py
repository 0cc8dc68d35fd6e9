"""Sums over triplets as dense products against loops over the pairs of edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import molecule, pack
from scipy.special import eval_legendre

from compbench_jax.models.layers.triplets import reverse_edges, slot_harmonics, to_edges, to_slots

MOLECULES = [molecule(6, 0), molecule(1, 1), molecule(4, 2)]


@pytest.fixture(scope="module")
def graph():
    return pack(MOLECULES, 2.5, padding=(3, 5, 2), incoming=9)


def test_edges_come_back_from_their_slots_and_padding_edges_are_zero(graph):
    triplets, receivers = jnp.asarray(graph.edges["triplets"]), jnp.asarray(graph.receivers)
    values = np.random.default_rng(0).normal(size=(len(receivers), 3)).astype(np.float32)
    back = to_edges(to_slots(jnp.asarray(values), triplets), triplets, receivers)
    np.testing.assert_array_equal(back[:-5], values[:-5])
    np.testing.assert_array_equal(back[-5:], 0)


def test_empty_slots_are_zero(graph):
    triplets = jnp.asarray(graph.edges["triplets"])
    slots = np.asarray(to_slots(jnp.ones(len(graph.receivers)), triplets))
    degrees = np.bincount(graph.receivers[:-5], minlength=len(slots))
    np.testing.assert_array_equal(slots, np.arange(9) < degrees[:, None])


def test_reverse_edges(graph):
    reverse = np.asarray(reverse_edges(jnp.asarray(graph.senders)))
    np.testing.assert_array_equal(graph.senders[reverse], graph.receivers)
    np.testing.assert_array_equal(graph.receivers[reverse], graph.senders)
    np.testing.assert_array_equal(reverse[-5:], np.arange(len(reverse))[-5:])


def test_sum_over_triplets_is_a_loop_over_pairs_of_edges(graph):
    with jax.enable_x64(True):
        senders, receivers, triplets = (
            np.asarray(x) for x in (graph.senders, graph.receivers, graph.edges["triplets"])
        )
        n_edge, rng = len(senders), np.random.default_rng(1)
        vectors = rng.normal(size=(n_edge, 3))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        x = rng.normal(size=n_edge)
        degree = 3
        angular = slot_harmonics(jnp.asarray(vectors), jnp.asarray(triplets), degree + 1)[:, degree]
        slots = jnp.einsum("nab,nb->na", angular, to_slots(jnp.asarray(x), jnp.asarray(triplets)))
        found = to_edges(slots, jnp.asarray(triplets), jnp.asarray(receivers))
    expected = np.zeros(n_edge)
    for ca in range(n_edge - 5):
        for ba in range(n_edge - 5):
            if receivers[ba] == receivers[ca] and senders[ba] != senders[ca]:
                harmonic = np.sqrt(7 / (4 * np.pi)) * eval_legendre(degree, vectors[ca] @ vectors[ba])
                expected[ca] += harmonic * x[ba]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_derivatives_are_finite_where_three_atoms_are_in_line():
    """Angles of 0° and 180°: an arc cosine would have infinite derivatives, arctan2 undefined ones."""
    triplets = jnp.asarray([[0, 1, 2]])
    vectors = jnp.asarray([[1.0, 0, 0], [-1.0, 0, 0], [1.0, 0, 0]])

    def total(vectors):
        directions = vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)
        return jnp.sum(slot_harmonics(directions, triplets, 7) ** 2)

    assert np.isfinite(jax.grad(total)(vectors)).all()
    assert np.isfinite(jax.hessian(total)(vectors)).all()
