import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.models.equivariant.spherical import numpy_harmonics
from compbench_jax.models.sphere.edge_frame import (
    SWITCH,
    edge_frames,
    frame_rotations,
    orders_first,
    truncation_scale,
    wigner_matrices,
)

POLES = np.array([[0.0, 1, 0], [0, -1, 0], [1, 0, 0], [0, 0, -1]])


@pytest.fixture(autouse=True)
def _double_precision():
    with jax.enable_x64(True):
        yield


frames_of = jax.jit(edge_frames, static_argnums=(1, 2))


def directions(n=40):
    vectors = np.random.default_rng(0).normal(size=(n, 3))
    return np.concatenate([POLES, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)])


def test_rotations_take_the_direction_to_y():
    unit = directions()
    assert (unit[:, 1] > SWITCH).any() and (unit[:, 1] < SWITCH).any()
    rotations = np.asarray(jax.jit(frame_rotations)(unit))
    np.testing.assert_allclose(np.einsum("nab,nb->na", rotations, unit), np.tile([0, 1, 0], (len(unit), 1)), atol=1e-14)
    np.testing.assert_allclose(
        np.einsum("nab,ncb->nac", rotations, rotations), np.tile(np.eye(3), (44, 1, 1)), atol=1e-14
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1)


def test_wigner_matrices_are_those_of_e3nn():
    rotations = jax.jit(frame_rotations)(directions(5))
    expected = jax.jit(lambda r: [e3nn.Irrep(degree, 1).D_from_matrix(r) for degree in range(5)])(rotations)
    for degree, matrices in enumerate(jax.jit(wigner_matrices, static_argnums=1)(rotations, 4)):
        matrices = np.asarray(matrices)
        np.testing.assert_allclose(matrices, expected[degree], atol=1e-6)
        np.testing.assert_allclose(
            matrices @ matrices.swapaxes(1, 2), np.tile(np.eye(2 * degree + 1), (9, 1, 1)), atol=1e-13
        )


def test_direction_has_components_of_order_zero_only():
    unit = directions()
    turned = np.einsum("nab,nb->na", frames_of(unit, 4, 2), numpy_harmonics(unit, 4))
    expected = [np.sqrt(2 * degree + 1) if m == 0 else 0 for degree, m in orders_first(4, 2)]
    np.testing.assert_allclose(turned, np.tile(expected, (len(unit), 1)), atol=1e-13)


def test_derivatives_are_right_at_the_poles_too():
    unit, step = directions(4), 1e-4
    tangent = np.cross(unit, [0.3, -0.5, 0.8])

    def along(t):
        moved = unit + t * tangent
        return edge_frames(moved / jnp.linalg.norm(moved, axis=1, keepdims=True), 3, 2)

    at = jax.jit(along)
    _, slope = jax.jit(lambda t: jax.jvp(along, (t,), (1.0,)))(0.0)
    values = {k: np.asarray(at(k * step)) for k in (-2, -1, 1, 2)}
    expected = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
    np.testing.assert_allclose(slope, expected, atol=1e-10)


def test_padding_edges_are_finite():
    vectors = jnp.zeros((1, 3))
    derivatives = jax.jit(jax.jacfwd(jax.grad(lambda v: (edge_frames(v, 3, 2) ** 2).sum())))(vectors)
    assert np.isfinite(derivatives).all()


def test_components_sorted_by_order():
    assert orders_first(2, 1) == ((0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (1, -1), (2, -1))
    assert len(orders_first(4, 2)) == 19


def test_truncation_scale_keeps_the_sum_of_variances():
    """Of 2l + 1 components of variance one, 2 m_max + 1 are left; their scale makes up for the others."""
    components = orders_first(4, 2)
    scale = truncation_scale(components, 2)
    for degree in range(5):
        kept = [s for s, (d, _) in zip(scale, components, strict=True) if d == degree]
        np.testing.assert_allclose(np.sum(np.square(kept)), 2 * degree + 1)
