"""Layers recomputed in the backward pass in place of being remembered (rematerialisation): less memory, more time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import flax.linen as nn
import jax
import numpy as np

_INSIDE: ContextVar[bool] = ContextVar("inside", default=False)
"""Whether a layer is being traced."""


@contextmanager
def remembering_layers_only(wanted: bool) -> Iterator[None]:
    """Of a network that is applied inside, derivatives keep what goes into each of its layers, nothing within them.

    A layer is a submodule of the network itself that is not a plain dense or embedding layer.

    Args:
        wanted: False: do nothing.
    """
    if not wanted:
        yield
        return
    with nn.intercept_methods(_recomputed):
        yield


def _recomputed(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
    """Interceptor of flax: calls a layer so that it is recomputed."""
    layer = context.module
    plain = context.method_name != "__call__" or len(layer.path) != 1 or isinstance(layer, nn.Dense | nn.Embed)
    if plain or _INSIDE.get():
        return call(*args, **kwargs)
    leaves, structure = jax.tree.flatten((args, kwargs))
    is_array = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]

    def of_arrays(layer: nn.Module, *arrays: Any) -> Any:
        rest = iter(arrays)
        items = [next(rest) if array else leaf for array, leaf in zip(is_array, leaves, strict=True)]
        args, kwargs = jax.tree.unflatten(structure, items)
        token = _INSIDE.set(True)
        try:
            return layer(*args, **kwargs)  # type: ignore[operator]
        finally:
            _INSIDE.reset(token)

    arrays = [leaf for array, leaf in zip(is_array, leaves, strict=True) if array]
    return nn.remat(of_arrays)(layer, *arrays)
