import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.layers.attention import smooth_attention, smooth_leaky_relu

compiled = jax.jit(smooth_attention, static_argnums=3)
RECEIVERS = jnp.array([0, 0, 0, 2, 2, 3])


def logits(seed=0):
    return jnp.asarray(3 * np.random.default_rng(seed).normal(size=(6, 2)), jnp.float32)


def test_without_envelope_it_is_a_softmax_over_the_edges_of_a_node():
    a = logits()
    attention = compiled(a, jnp.ones(6), RECEIVERS, 4)
    for edges in (slice(0, 3), slice(3, 5), slice(5, 6)):
        np.testing.assert_allclose(attention[edges], jax.nn.softmax(a[edges], axis=0), rtol=1e-5)


def test_an_edge_without_envelope_is_as_if_it_were_not():
    a, envelope = logits(), jnp.array([1.0, 0.0, 0.4, 1.0, 0.7, 0.0])
    attention = compiled(a, envelope, RECEIVERS, 4)
    keep = jnp.array([0, 2, 3, 4])
    np.testing.assert_array_equal(attention[jnp.array([1, 5])], 0)
    np.testing.assert_allclose(attention[keep], compiled(a[keep], envelope[keep], RECEIVERS[keep], 4), rtol=1e-5)


def test_the_only_neighbour_leaves_smoothly():
    attention = [compiled(logits(), jnp.full(6, u), RECEIVERS, 4)[5] for u in (1.0, 0.1, 1e-6)]
    np.testing.assert_allclose(attention, [[u, u] for u in (1.0, 0.1, 1e-6)], rtol=1e-5)


def test_large_logits_and_second_derivatives_are_finite():
    def total(a, u):
        return (smooth_attention(1e4 * a, u, RECEIVERS, 4) ** 2).sum()

    derivatives = jax.jit(jax.hessian(total, argnums=(0, 1)))(logits(), jnp.array([1.0, 0.0, 0.4, 0.0, 0.0, 0.0]))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(derivatives))


def test_smooth_leaky_relu():
    x = jnp.array([-30.0, 0.0, 30.0])
    np.testing.assert_allclose(smooth_leaky_relu(x), [-6.0, 0.0, 30.0], rtol=1e-6)
