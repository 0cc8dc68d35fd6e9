"""Flattened state, a few long vectors, and back: orbax writes few long arrays much faster than many short ones."""

import json
from typing import Any

import jax
import numpy as np

from compbench_jax.errors import RunError

LEAVES = "leaves"
"""Entry that says what the vectors hold: JSON in UTF-8, ``[[path, dtype, shape], …]`` in their order."""

REMEDY = "resume with the version that wrote it, or train in a new folder"
OTHER_POTENTIAL = f"the checkpoint is not that of this potential and optimiser: {REMEDY}"


def pack(tree: Any) -> dict[str, np.ndarray]:
    """All leaves of a tree as one vector per dtype, and ``LEAVES``, uint8 ``[n_bytes]``."""
    vectors: dict[str, list[np.ndarray]] = {}
    for leaf in jax.tree.leaves(jax.device_get(tree)):
        vectors.setdefault(str(leaf.dtype), []).append(np.ravel(leaf))
    text = json.dumps(_listing(tree)).encode()
    return {LEAVES: np.frombuffer(text, np.uint8)} | {d: np.concatenate(parts) for d, parts in vectors.items()}


def unpack(vectors: dict[str, np.ndarray], template: Any) -> Any:
    """Inverse of :func:`pack` for a tree of these paths, shapes and dtypes.

    Vectors without ``LEAVES`` are of an older version; their leaves have the order of the template.

    Raises:
        RunError: the vectors are not of such a tree.
    """
    wanted = _listing(template)
    found = json.loads(bytes(vectors[LEAVES])) if LEAVES in vectors else wanted
    odd = [leaf for leaf in found if leaf not in wanted] + [leaf for leaf in wanted if leaf not in found]
    if odd:
        path, dtype, shape = odd[0]
        side = "only the checkpoint has" if odd[0] in found else "the checkpoint lacks"
        raise RunError(
            f"the checkpoint is not that of this potential and optimiser ({side} {path}, {dtype} {shape}): {REMEDY}"
        )
    start = {dtype: 0 for _, dtype, _ in found}
    read = {}
    for path, dtype, shape in found:
        size = int(np.prod(shape))
        read[path] = vectors.get(dtype, np.empty(0))[start[dtype] : start[dtype] + size]
        start[dtype] += size
    if start != {dtype: len(vector) for dtype, vector in vectors.items() if dtype != LEAVES}:
        raise RunError(OTHER_POTENTIAL)
    return jax.tree.unflatten(jax.tree.structure(template), [read[path].reshape(shape) for path, _, shape in wanted])


def _listing(tree: Any) -> list[list[Any]]:
    """Path, dtype and shape of each leaf."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [[jax.tree_util.keystr(path), str(leaf.dtype), list(leaf.shape)] for path, leaf in leaves]
