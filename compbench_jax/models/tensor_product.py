"""Convolution of equivariant features with spherical harmonics by Clebsch-Gordan tensor products.

MACE's eq. 8 (Batatia et al. 2022, arXiv 2206.07697), which is NequIP's convolution (Batzner et al. 2022): for every
path (l1, l2 → l3), node i and channel k,

    A_i,l3,m3 = Σ_{j → i} R_path(r_ij) Σ_{m1, m2} C_{l1 m1, l2 m2}^{l3 m3} h_j,l1,m1 Y_l2,m2(r̂_ij).
"""

from dataclasses import dataclass
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.aggregate import sum_to_receivers
from compbench_jax.models.spherical import clebsch_gordan

Features = tuple[jax.Array, ...]
"""Equivariant features: for each l from 0 an array ``[n, 2l + 1, channels]`` of parity (−1)^l."""


@dataclass(frozen=True)
class Couplings:
    """The products that a convolution takes, when its features are not just one of each degree.

    Attributes:
        inputs: degree of each feature.
        outputs: degree of each result.
        paths: (feature, degree of the harmonics, result), ascending by result.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    paths: tuple[tuple[int, int, int], ...]


@lru_cache
def coupling_paths(l1_max: int, l2_max: int, l3_max: int) -> tuple[tuple[int, int, int], ...]:
    """Paths (l1, l2, l3) that conserve parity, ordered by (l3, l1, l2) as mace-torch orders them.

    With parity (−1)^l everywhere, a path is allowed if |l1 − l2| ≤ l3 ≤ l1 + l2 and l1 + l2 + l3 is even.
    """
    return tuple(
        (l1, l2, l3)
        for l3 in range(l3_max + 1)
        for l1 in range(l1_max + 1)
        for l2 in range(l2_max + 1)
        if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
    )


def convolve(
    features: Features,
    harmonics: Features,
    weights: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
    outputs: int | Couplings,
) -> Features:
    """Sum tensor-product messages at their receivers.

    Args:
        features: of the nodes, ``[n_node, 2l + 1, channels]`` for each l.
        harmonics: of the edges, ``[n_edge, 2l + 1]`` for each l.
        weights: R of each edge and path, ``[n_edge, n_path, channels]``, paths as in :func:`coupling_paths`.
        senders: ``[n_edge]``.
        receivers: ``[n_edge]``, ascending.
        outputs: largest degree of the result, one feature of each degree l and parity (−1)^l in and out; or the
            couplings, for any other features.

    Returns:
        For each l up to the largest, ``[n_node, 2l + 1, n_path(l) · channels]``, path-major; or for each output of the
        couplings.
    """
    n_node = features[0].shape[0]
    if not isinstance(outputs, Couplings):
        l1, l2, l3 = len(features) - 1, len(harmonics) - 1, outputs
        outputs = Couplings(tuple(range(l1 + 1)), tuple(range(l3 + 1)), coupling_paths(l1, l2, l3))
    sent = [h[senders] for h in features]
    messages = jnp.concatenate(
        [
            weights[:, i, None, :]
            * _couple(sent[first], harmonics[l2], clebsch_gordan(outputs.inputs[first], l2, outputs.outputs[last]))
            for i, (first, l2, last) in enumerate(outputs.paths)
        ],
        axis=1,
    )
    return unstack_paths(sum_to_receivers(messages, receivers, n_node), outputs)


def unstack_paths(stacked: jax.Array, couplings: Couplings) -> Features:
    """Cut ``[n, Σ_paths (2l3 + 1), channels]`` by output and join the paths of an output along the channels."""
    n, _, channels = stacked.shape
    result, start = [], 0
    for i, degree in enumerate(couplings.outputs):
        n_path = sum(last == i for _, _, last in couplings.paths)
        size = n_path * (2 * degree + 1)
        part = stacked[:, start : start + size].reshape(n, n_path, 2 * degree + 1, channels)
        result.append(part.swapaxes(1, 2).reshape(n, 2 * degree + 1, n_path * channels))
        start += size
    return tuple(result)


def _couple(h: jax.Array, y: jax.Array, coefficients: np.ndarray) -> jax.Array:
    """Product ``[n, 2l3 + 1, channels]`` of ``h [n, 2l1 + 1, channels]`` and ``y [n, 2l2 + 1]``.

    The harmonics are contracted first, which costs nothing as they have no channels; what remains is a sum over m1 of
    products with a number of the edge, unrolled so that it is one loop without temporaries.
    """
    size1, _, size3 = coefficients.shape
    matrix = jnp.einsum("nb,abc->nac", y, jnp.asarray(coefficients, y.dtype))
    structure = np.abs(coefficients).sum(axis=1) > 1e-10
    rows = []
    for c in range(size3):
        terms = [matrix[:, a, c, None] * h[:, a] for a in range(size1) if structure[a, c]]
        rows.append(sum(terms[1:], terms[0]))
    return jnp.stack(rows, axis=1)
