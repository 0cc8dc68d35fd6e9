"""Functions of components: arrays cut along one axis, each piece by itself, and derivatives that are one pass too.

What couples the components (l, m) of equivariant features on one atom is arithmetic on arrays ``[n, channels]`` of one
component each, which XLA makes a few loops over contiguous memory. Differentiated as it stands, cutting and putting
together again come between every two steps, and each copy costs more than the arithmetic. Here the value, the first and
the second reverse derivative of such a function cut their operands once and put their results together once.

Third derivatives are those of the last pass. Forward-mode differentiation is not possible.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

Components = list[jax.Array]
"""Arrays ``[n, channels]``, one a component."""

Function = Callable[..., Components]
"""Takes lists of components and returns one."""

Arrays = tuple[jax.Array, ...]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def by_component(function: Function, operands: Arrays) -> jax.Array:
    """Apply a function of components to whole arrays.

    Args:
        function: of as many lists of components as there are operands; arithmetic on each row by itself. It stands for
            the computation wherever this is traced, so it must be the same object every time.
        operands: each ``[n, n_component, channels]``, with its own number of components.

    Returns:
        ``[n, n_component, channels]`` of the function's components.
    """
    return stack(function(*map(unstack, operands)))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gradient(function: Function, operands: Arrays, cotangent: jax.Array) -> Arrays:
    """Gradient of Σ cotangent · function by each operand."""
    return tuple(map(stack, _gradient_of_components(function, *map(unstack, operands), unstack(cotangent))))


def _gradient_of_components(function: Function, *cuts: Components) -> tuple[Components, ...]:
    """The same of components, the cotangent's last."""
    gradient: tuple[Components, ...] = jax.vjp(function, *cuts[:-1])[1](cuts[-1])
    return gradient


def _second(function: Function, operands: Arrays, cotangent: jax.Array, cotangents: Arrays) -> tuple[Arrays, jax.Array]:
    """Gradient of Σ cotangents · :func:`_gradient` by the operands and by the cotangent."""
    _, pull = jax.vjp(partial(_gradient_of_components, function), *map(unstack, operands), unstack(cotangent))
    *first, last = map(stack, pull(tuple(map(unstack, cotangents))))
    return tuple(first), last


by_component.defvjp(
    lambda function, operands: (by_component(function, operands), operands),
    lambda function, operands, cotangent: (_gradient(function, operands, cotangent),),
)
_gradient.defvjp(
    lambda function, operands, cotangent: (_gradient(function, operands, cotangent), (operands, cotangent)),
    lambda function, kept, cotangents: _second(function, kept[0], kept[1], cotangents),
)


def unstack(x: jax.Array) -> Components:
    """``[n, n_component, channels]`` as one array a component."""
    return [x[:, i] for i in range(x.shape[1])]


def stack(rows: Components) -> jax.Array:
    """One array of all components; each is computed by itself first, or XLA would decide by element which it is."""
    return jnp.stack(jax.lax.optimization_barrier(tuple(rows)), axis=1)
