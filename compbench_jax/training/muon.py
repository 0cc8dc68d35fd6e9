"""Muon: updates of matrices with all singular values near one (Jordan 2024, kellerjordan.github.io/posts/muon)."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers

from compbench_jax.models.potential import Params

MATRICES: tuple[tuple[str, int, int], ...] = (
    # [features, elements, features] of ElementLinear and ElementDense: one matrix for each element.
    (r"/skip/l\d+$|/skip_\d+[eo]/kernel$", 0, 2),
    # Dense layers, and the heads of So3krates' attention. Axes before the last two count matrices.
    (r"/kernel$|/(query|key|value)_(invariant|geometric)$", -2, -1),
)
"""Paths of matrices, and their axes of inputs and of outputs. The first that fits holds."""


def muon(scale: float) -> optax.GradientTransformation:
    """Muon for matrices and Adam for all other parameters, at a learning rate of 1.

    The update of a matrix is its momentum with all singular values near one, times ``scale`` and the root mean square
    of the matrix's initial values. So one scale serves potentials that initialise differently: e3nn's matrices start at
    N(0, 1) and are divided by √fan-in when applied, flax's start at N(0, 1/fan-in).

    Args:
        scale: root mean square of a matrix's update, as a fraction of that of its initial values.
    """
    orthogonal = optax.contrib.scale_by_muon(weight_dimension_numbers=matrix_axes)
    rules = {"matrix": optax.chain(orthogonal, scale_by_start(scale)), "other": optax.adam(1.0)}
    return optax.partition(rules, labels)


def scale_by_start(scale: float) -> optax.GradientTransformation:
    """Rescale orthogonal matrices to a root mean square of ``scale`` times that of the initial parameters, downhill."""

    def init(params: Params) -> Params:
        def factor(axes: MuonDimensionNumbers, leaf: jax.Array) -> jax.Array:
            longest = max(leaf.shape[axes.reduction_axis], leaf.shape[axes.output_axis])  # type: ignore[index]
            return jnp.sqrt(longest * jnp.mean(jnp.square(leaf)))

        return jax.tree.map(factor, matrix_axes(params), params, is_leaf=_is_axes)

    def update(updates: Params, state: Params, params: Params | None = None) -> tuple[Params, Params]:
        return jax.tree.map(lambda u, factor: -scale * factor * u, updates, state), state

    return optax.GradientTransformation(init, update)  # type: ignore[arg-type]


def matrix_axes(params: Params) -> Any:
    """Axes of the parameters that are matrices, a tree of ``MuonDimensionNumbers``; None for other parameters.

    A matrix maps two features or more to two or more. Embeddings, biases, and weights that multiply element by element
    are none.
    """
    return jax.tree_util.tree_map_with_path(_axes, params)


def labels(params: Params) -> Any:
    """The rule for each parameter: ``"matrix"`` or ``"other"``."""
    return jax.tree.map(lambda axes: "other" if axes is None else "matrix", matrix_axes(params), is_leaf=_is_axes)


def _axes(path: Any, leaf: Any) -> MuonDimensionNumbers | None:
    name = "/".join(str(getattr(key, "key", key)) for key in path)
    for pattern, rows, columns in MATRICES:
        if leaf.ndim >= 2 and re.search(pattern, name):
            rows, columns = rows % leaf.ndim, columns % leaf.ndim
            matrix = min(leaf.shape[rows], leaf.shape[columns]) > 1
            return MuonDimensionNumbers(rows, columns) if matrix else None
    return None


def _is_axes(node: Any) -> bool:
    return node is None or isinstance(node, MuonDimensionNumbers)
