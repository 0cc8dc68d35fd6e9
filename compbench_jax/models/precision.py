"""Arithmetic of a potential: what its numbers are, and how its matrix products are multiplied.

On GPUs and TPUs JAX by default multiplies float32 matrices with inputs shortened to 10 (TF32) or 7 bits (bfloat16) of
mantissa. Forces are differences of large terms, and a relative error of 1e-3 in them is as large as that of a good
potential: so the default here is the full product, and anything less must be asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.models.layers.linear import ScaledDense
from compbench_jax.runtime import PRECISIONS


def dtype_of(precision: str) -> type:
    """NumPy dtype of positions, labels and parameters."""
    return np.float64 if precision == "float64" else np.float32


def cast_params(params: Any, precision: str) -> Any:
    """Parameters with real numbers of this precision; integers stay as they are."""
    dtype = dtype_of(precision)

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if np.issubdtype(np.dtype(leaf.dtype), np.floating) else leaf

    return jax.tree.map(cast, params)


def prepare_precision(precision: str) -> None:
    """Let JAX hold numbers of this precision. Called by the entry points before anything is put on a device.

    Raises:
        RunError: no such precision.
    """
    if precision not in PRECISIONS:
        raise RunError(f"--precision is {precision!r}: choose one of {', '.join(PRECISIONS)}")
    if precision == "float64":
        jax.config.update("jax_enable_x64", True)


def refuse_unprepared(precision: str) -> None:
    """Refuse float64 where JAX would silently make it float32.

    Raises:
        RunError: says what to call.
    """
    if precision == "float64" and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise RunError("precision float64 needs 64-bit JAX: call prepare_precision('float64'), or set JAX_ENABLE_X64=1")


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Matrix products of this precision in what is traced inside, and in all its derivatives."""
    with jax.default_matmul_precision("tensorfloat32" if precision == "tensorfloat32" else "highest"):
        if precision == "bfloat16":
            with nn.intercept_methods(_short_dense):
                yield
        else:
            yield


def short_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """``x @ kernel`` of inputs rounded to bfloat16, summed up in float32."""
    contraction = (((x.ndim - 1,), (0,)), ((), ()))
    return jax.lax.dot_general(
        x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), contraction, preferred_element_type=jnp.float32
    )


def _short_dense(
    call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: nn.module.InterceptorContext
) -> Any:
    """Stand in for the dense layers that mix features. A single output is an energy: it keeps its digits."""
    module: Any = context.module
    dense = type(module) in (nn.Dense, ScaledDense) and context.method_name == "__call__"
    if not dense or module.features == 1 or module.is_initializing():
        return call(*args, **kwargs)
    params, x = module.variables["params"], args[0]
    if isinstance(module, ScaledDense):
        return short_product(x, params["kernel"] * x.shape[-1] ** -0.5)
    y = short_product(x, params["kernel"])
    return y + params["bias"] if module.use_bias else y
