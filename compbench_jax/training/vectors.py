"""Trees of arrays as a few long vectors and back: orbax writes few long arrays much faster than many short ones."""

from typing import Any

import jax
import numpy as np

from compbench_jax.errors import RunError

OTHER_POTENTIAL = (
    "the checkpoint is not that of this potential and optimiser: "
    "resume with the version that wrote it, or train in a new folder"
)


def pack(tree: Any) -> dict[str, np.ndarray]:
    """All leaves of a tree as one vector a dtype."""
    vectors: dict[str, list[np.ndarray]] = {}
    for leaf in jax.tree.leaves(jax.device_get(tree)):
        vectors.setdefault(str(leaf.dtype), []).append(np.ravel(leaf))
    return {dtype: np.concatenate(parts) for dtype, parts in vectors.items()}


def unpack(vectors: dict[str, np.ndarray], template: Any) -> Any:
    """Inverse of :func:`pack` for a tree of these shapes and dtypes.

    Raises:
        RunError: the vectors are not of such a tree.
    """
    leaves, structure = jax.tree.flatten(template)
    expected: dict[str, int] = {}
    for leaf in leaves:
        expected[str(leaf.dtype)] = expected.get(str(leaf.dtype), 0) + int(np.prod(leaf.shape))
    if expected != {dtype: len(vector) for dtype, vector in vectors.items()}:
        raise RunError(OTHER_POTENTIAL)
    start = dict.fromkeys(expected, 0)
    read = []
    for leaf in leaves:
        dtype, size = str(leaf.dtype), int(np.prod(leaf.shape))
        read.append(vectors[dtype][start[dtype] : start[dtype] + size].reshape(leaf.shape))
        start[dtype] += size
    return jax.tree.unflatten(structure, read)
