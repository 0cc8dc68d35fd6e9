"""Initial weights from random orthogonal matrices, as DimeNet and GemNet have them. Kernels are ``[inputs, outputs]``.

They are drawn by NumPy on the host, as a function of the key: as a JAX program, normal numbers and the QR decomposition
of one kernel take XLA most of a second to compile, and these networks have a hundred.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def glorot_orthogonal(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
    """Orthogonal kernel scaled to Glorot's variance 2 / (inputs + outputs), as DimeNet's authors have it.

    ``shape`` is ``[..., outputs]``: all axes but the last are inputs.
    """

    def scaled(kernel: np.ndarray) -> np.ndarray:
        variance = kernel.var() if kernel.size > 1 else 1.0
        return kernel * np.sqrt(2.0 / (sum(kernel.shape) * variance))

    return _on_host(scaled, key, shape, dtype)


def he_orthogonal(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
    """Orthogonal kernel whose columns have mean 0 and variance 1 / inputs, as GemNet's authors have it.

    ``shape`` is ``[..., outputs]``: all axes but the last are inputs.
    """

    def scaled(kernel: np.ndarray) -> np.ndarray:
        inputs = len(kernel)
        centred = kernel - kernel.mean(axis=0)
        deviation = np.sqrt((centred * centred).sum(axis=0) / max(inputs - 1, 1) + 1e-6)
        return centred / deviation / np.sqrt(inputs)

    return _on_host(scaled, key, shape, dtype)


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Matrix whose shorter axis is orthonormal, uniform among these (Mezzadri 2007, arXiv math-ph/0609050)."""
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def _on_host(scaled: Callable[[np.ndarray], np.ndarray], key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
    """The kernel that ``scaled`` makes of the orthogonal matrix that belongs to a key."""
    words = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    rows = int(np.prod(shape[:-1]))

    def draw(words: Any) -> np.ndarray:
        rng = np.random.default_rng(np.asarray(words).tolist())
        return scaled(orthogonal(rng, rows, shape[-1])).reshape(shape).astype(dtype)

    return jax.pure_callback(draw, jax.ShapeDtypeStruct(tuple(shape), dtype), words, vmap_method="sequential")
