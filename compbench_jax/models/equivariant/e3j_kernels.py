"""The convolution of ``tensor_product.py`` by the CUDA kernels of e3j, an optional package.

Its form is ours, Σ C h Y R over edges, with the channels last; derivatives of every order are kernels too. Channels are
a power of two, edges sorted by receiver. A program lowers for CUDA on any machine, and runs on a GPU only.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.models.equivariant.convolution import Edges, sums_of
from compbench_jax.models.equivariant.couplings import Couplings


@lru_cache
def coefficients(couplings: Couplings, l_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and indices (result, feature, harmonic, path) of the terms, ``[n_term]`` and ``[n_term, 4]``."""
    sums, terms = sums_of(couplings, l_max), []
    for product, row in enumerate(sums.terms):
        terms += [(factor, product, i, 0) for i, factor in row if isinstance(factor, float)]
    for harmonic, triples in enumerate(sums.triples, start=1):
        terms += [(value, product, i, harmonic) for value, i, product in triples]
    rows = sorted((sums.output[product], i, y, sums.path[product], value) for value, product, i, y in terms)
    return np.array([row[4] for row in rows]), np.array([row[:4] for row in rows])


def convolve_by_kernels(couplings: Couplings, h: jax.Array, y: jax.Array, r: jax.Array, edges: Edges) -> jax.Array:
    """As :func:`compbench_jax.models.equivariant.convolution.convolve_in_chunks`.

    Raises:
        RunError: the package is missing, or the channels are no power of two.
    """
    try:
        from e3j.ops.coef import Coef4D
        from e3j.ops.convolution import CUDAConvolutionParams, convolution
    except ImportError as error:
        raise RunError("the backend e3j needs its packages: pip install 'compbench_jax[e3j]'") from error
    channels = h.shape[-1]
    if channels & (channels - 1):
        raise RunError(f"the backend e3j needs a power of two of channels, not {channels}: choose another backend")
    values, indices = coefficients(couplings, round((y.shape[-1] + 1) ** 0.5) - 1)
    with jax.ensure_compile_time_eval():
        packed = Coef4D(values.astype(h.dtype), indices.astype(np.int32), val_dtype=h.dtype).pack_jax()
    harmonics = jnp.concatenate([jnp.ones_like(y, shape=(y.shape[0], 1)), y], axis=1)
    sizes = CUDAConvolutionParams(num_out=int(indices[:, 0].max()) + 1, num_scalars=r.shape[1])
    return convolution(packed, h, harmonics, r[edges.rows], edges.senders, edges.receivers, sizes)
