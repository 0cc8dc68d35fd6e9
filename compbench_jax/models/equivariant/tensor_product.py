"""Convolution of equivariant features with spherical harmonics by Clebsch-Gordan tensor products.

MACE's eq. 8 (Batatia et al. 2022, arXiv 2206.07697), which is NequIP's convolution (Batzner et al. 2022): for every
path (l1, l2 → l3), node i and channel k,

    A_i,l3,m3 = Σ_{j → i} R_path(r_ij) Σ_{m1, m2} C_{l1 m1, l2 m2}^{l3 m3} h_j,l1,m1 Y_l2,m2(r̂_ij).
"""

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.equivariant.backend import chosen
from compbench_jax.models.equivariant.convolution import Edges, convolve_in_chunks
from compbench_jax.models.equivariant.couplings import Couplings, coupling_paths
from compbench_jax.models.equivariant.e3j_kernels import convolve_by_kernels
from compbench_jax.models.equivariant.spherical import clebsch_gordan
from compbench_jax.models.layers.aggregate import sum_to_receivers

__all__ = ["Couplings", "Features", "convolve", "coupling_paths", "unstack_paths"]

Features = tuple[jax.Array, ...]
"""Equivariant features: for each l from 0 an array ``[n, 2l + 1, channels]`` of parity (−1)^l."""


def convolve(
    features: Features,
    harmonics: Features,
    weights: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
    outputs: int | Couplings,
    rows: jax.Array | None = None,
) -> Features:
    """Sum tensor-product messages at their receivers.

    Args:
        features: of the nodes, ``[n_node, 2l + 1, channels]`` for each l.
        harmonics: of the edges, ``[n_edge, 2l + 1]`` for each l; that of degree 0 is 1.
        weights: R of each edge and path, ``[n_edge, n_path, channels]``, paths as in :func:`coupling_paths`.
        senders: ``[n_edge]``.
        receivers: ``[n_edge]``, ascending.
        outputs: largest degree of the result, one feature of each degree l and parity (−1)^l in and out; or the
            couplings, for any other features.
        rows: row of ``weights`` that each edge has, ``[n_edge]``; by default its own.

    Returns:
        For each l up to the largest, ``[n_node, 2l + 1, n_path(l) · channels]``, path-major; or for each output of the
        couplings, where the paths may be added up.
    """
    n_node = features[0].shape[0]
    if not isinstance(outputs, Couplings):
        l1, l2, l3 = len(features) - 1, len(harmonics) - 1, outputs
        outputs = Couplings(tuple(range(l1 + 1)), tuple(range(l3 + 1)), coupling_paths(l1, l2, l3))
    with jax.named_scope("convolution"):
        few = outputs.summed or len(outputs.paths) == 1
        if (backend := chosen(few)) != "plain":
            rows = jnp.arange(senders.shape[0]) if rows is None else rows
            stacked, joined = jnp.concatenate(features, axis=1), jnp.concatenate(harmonics, axis=1)[:, 1:]
            form = convolve_in_chunks if backend == "chunks" else convolve_by_kernels
            return _by_output(
                form(outputs, stacked, joined, jnp.asarray(weights), Edges(senders, receivers, rows)), outputs
            )
        weights = weights if rows is None else weights[rows]
        sent = [h[senders] for h in features]
        messages = [
            weights[:, i, None, :]
            * _couple(sent[first], harmonics[l2], clebsch_gordan(outputs.inputs[first], l2, outputs.outputs[last]))
            for i, (first, l2, last) in enumerate(outputs.paths)
        ]
        if outputs.summed:
            paths = [[m for m, path in zip(messages, outputs.paths, strict=True) if path[2] == k]
                     for k in range(len(outputs.outputs))]  # fmt: skip
            messages = [sum(own[1:], own[0]) for own in paths]
        received = sum_to_receivers(jnp.concatenate(messages, axis=1), receivers, n_node)
        return _by_output(received, outputs) if outputs.summed else unstack_paths(received, outputs)


def _by_output(summed: jax.Array, couplings: Couplings) -> Features:
    """Cut ``[n, Σ (2l3 + 1) width, channels]``, by (output, m3, path), and lay the paths along the channels."""
    result, start = [], 0
    for degree, width in zip(couplings.outputs, couplings.widths, strict=True):
        stop = start + width * (2 * degree + 1)
        result.append(summed[:, start:stop].reshape(summed.shape[0], 2 * degree + 1, width * summed.shape[2]))
        start = stop
    return tuple(result)


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
    matrix = jnp.einsum("nb,abc->nac", y, jnp.asarray(coefficients, y.dtype), precision="highest")
    structure = np.abs(coefficients).sum(axis=1) > 1e-10
    rows = []
    for c in range(size3):
        terms = [matrix[:, a, c, None] * h[:, a] for a in range(size1) if structure[a, c]]
        rows.append(sum(terms[1:], terms[0]))
    return jnp.stack(rows, axis=1)
