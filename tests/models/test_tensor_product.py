import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.equivariant.spherical import parity_irreps
from compbench_jax.models.equivariant.tensor_product import Couplings, convolve, coupling_paths
from compbench_jax.models.layers.aggregate import sum_to_receivers

N_NODE, N_EDGE, CHANNELS = 5, 14, 3


def operands(l_in, l_edge, l_out, seed=0):
    rng = np.random.default_rng(seed)
    features = tuple(rng.normal(size=(N_NODE, 2 * d + 1, CHANNELS)).astype(np.float32) for d in range(l_in + 1))
    above = (rng.normal(size=(N_EDGE, 2 * d + 1)).astype(np.float32) for d in range(1, l_edge + 1))
    harmonics = np.ones((N_EDGE, 1), np.float32), *above
    weights = rng.normal(size=(N_EDGE, len(coupling_paths(l_in, l_edge, l_out)), CHANNELS)).astype(np.float32)
    return features, harmonics, weights, rng.integers(N_NODE, size=N_EDGE), np.sort(rng.integers(N_NODE, size=N_EDGE))


def reference(features, harmonics, weights, senders, receivers, l_out):
    """The same sum, path by path with e3nn's own tensor product and edge by edge; a dictionary by path."""
    l_in, l_edge = len(features) - 1, len(harmonics) - 1
    result = {}
    for i, path in enumerate(coupling_paths(l_in, l_edge, l_out)):
        irreps = [e3nn.Irrep(d, (-1) ** d) for d in path]
        total = np.zeros((N_NODE, 2 * path[2] + 1, CHANNELS))
        h = e3nn.IrrepsArray([(1, irreps[0])], features[path[0]].swapaxes(1, 2)[senders])
        y = e3nn.IrrepsArray([(1, irreps[1])], np.repeat(harmonics[path[1]][:, None], CHANNELS, axis=1))
        product = e3nn.tensor_product(h, y, filter_ir_out=[irreps[2]], irrep_normalization="component")
        for edge, receiver in enumerate(receivers):
            total[receiver] += weights[edge, i] * np.asarray(product.array)[edge].T
        result[path] = total
    return result


def test_paths_conserve_parity_and_come_by_output():
    paths = coupling_paths(2, 2, 2)
    assert paths == (
        (0, 0, 0), (1, 1, 0), (2, 2, 0),
        (0, 1, 1), (1, 0, 1), (1, 2, 1), (2, 1, 1),
        (0, 2, 2), (1, 1, 2), (2, 0, 2), (2, 2, 2),
    )  # fmt: skip
    for l_in, l_edge, l_out in [(0, 3, 3), (1, 3, 3), (3, 3, 3)]:
        expected = 0
        for a in range(l_in + 1):
            for b in range(l_edge + 1):
                product = e3nn.Irrep(a, (-1) ** a) * e3nn.Irrep(b, (-1) ** b)
                expected += sum(irrep.l <= l_out and irrep.p == (-1) ** irrep.l for irrep in product)
        assert len(coupling_paths(l_in, l_edge, l_out)) == expected


@pytest.mark.parametrize("degrees", [(0, 2, 2), (1, 2, 1)])
def test_against_e3nn(degrees):
    features, harmonics, weights, senders, receivers = operands(*degrees)
    found = jax.jit(convolve, static_argnums=5)(features, harmonics, weights, senders, receivers, degrees[2])
    expected = reference(features, harmonics, weights, senders, receivers, degrees[2])
    for degree, values in enumerate(found):
        blocks = [total for path, total in expected.items() if path[2] == degree]
        np.testing.assert_allclose(values, np.concatenate(blocks, axis=2), atol=2e-5)


def test_couplings_of_both_parities():
    """Features 1o and 1e with a vector: pseudovectors and vectors by cross products, scalars by products."""
    rng = np.random.default_rng(1)
    vector, pseudo = rng.normal(size=(2, N_NODE, 3, CHANNELS)).astype(np.float32)
    harmonics = (np.ones((N_EDGE, 1), np.float32), rng.normal(size=(N_EDGE, 3)).astype(np.float32))
    couplings = Couplings((1, 1), (0, 0, 1, 1), ((0, 1, 0), (1, 1, 1), (0, 0, 2), (1, 1, 2), (0, 1, 3), (1, 0, 3)))
    weights = rng.normal(size=(N_EDGE, 6, CHANNELS)).astype(np.float32)
    senders, receivers = rng.integers(N_NODE, size=N_EDGE), np.sort(rng.integers(N_NODE, size=N_EDGE))
    found = jax.jit(convolve, static_argnums=5)((vector, pseudo), harmonics, weights, senders, receivers, couplings)
    shapes = [(N_NODE, 1, CHANNELS)] * 2 + [(N_NODE, 3, 2 * CHANNELS)] * 2
    assert [values.shape for values in found] == shapes
    y = harmonics[1][:, :, None]
    dot = [np.sum(h[senders] * y, axis=1, keepdims=True) / 3**0.5 for h in (vector, pseudo)]
    cross = [np.cross(h[senders], y, axis=1) / 2**0.5 for h in (vector, pseudo)]
    terms = [dot[0], dot[1], vector[senders], cross[1], cross[0], pseudo[senders]]
    sums = [np.zeros((N_NODE, *t.shape[1:])) for t in terms]
    for i, term in enumerate(terms):
        np.add.at(sums[i], receivers, weights[:, i, None] * term)
    expected = [sums[0], sums[1], np.concatenate(sums[2:4], axis=2), np.concatenate(sums[4:], axis=2)]
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, atol=2e-5)


def test_equivariance_at_high_degrees():
    features, harmonics, weights, senders, receivers = operands(2, 3, 3)
    angles = (0.4, 1.3, -0.2)
    turns = [np.asarray(irrep.D_from_angles(*angles)) * irrep.p for _, irrep in parity_irreps(3)]
    compiled = jax.jit(convolve, static_argnums=5)
    before = compiled(features, harmonics, weights, senders, receivers, 3)
    after = compiled(
        tuple(np.einsum("ab,nbk->nak", turns[d], h) for d, h in enumerate(features)),
        tuple(np.einsum("ab,nb->na", turns[d], y) for d, y in enumerate(harmonics)),
        weights,
        senders,
        receivers,
        3,
    )
    for degree, (b, a) in enumerate(zip(before, after, strict=True)):
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, np.einsum("ab,nbk->nak", turns[degree], b), atol=5e-5)


def test_sum_to_receivers():
    values = np.arange(12.0).reshape(6, 2)
    found = sum_to_receivers(jnp.asarray(values), np.array([0, 0, 2, 2, 2, 3]), 5)
    np.testing.assert_allclose(found, [[2, 4], [0, 0], [18, 21], [10, 11], [0, 0]])
