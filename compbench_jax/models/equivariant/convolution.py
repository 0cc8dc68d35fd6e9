"""The convolution of ``tensor_product.py`` on a CPU: pieces of a few edges that fit in the cache, and no message kept.

The convolution is linear in each of features h, harmonics Y and weights R. With a fourth set of numbers B, of the shape
of its result, all its derivatives come from one form that is linear in each of the four,

    Q(h, Y, R, B) = Σ_edges,paths Σ_m1,m2,m3 C_{l1 m1, l2 m2}^{l3 m3} h_{sender, m1} Y_m2 R_path B_{receiver, m3}:

the result is ∂Q/∂B; what reverse differentiation needs of it is ∂Q/∂(h, Y, R) at the cotangent B; and of that, the
gradient of Q(h′, Y, R, B) + Q(h, Y′, R, B) + Q(h, Y, R′, B) with the cotangents h′, Y′, R′. Each of the three is one
pass over the edges here, which gathers what an edge needs, computes, adds up at the nodes and forgets. Differentiated
plainly, the messages and all products that lead to them are written to memory and read again in every pass: that is
what a training step on a CPU then spends most of its time on.

The harmonic of degree 0 is the constant 1: nothing multiplies by it or differentiates by it.

Third derivatives are those of the last pass. Forward-mode differentiation is not possible: ask for the plain form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.equivariant.couplings import Couplings
from compbench_jax.models.equivariant.spherical import clebsch_gordan
from compbench_jax.models.layers.elementwise import stack, unstack

CHUNK = 32
"""Fewest edges at a time: the arrays of a pass for so many fit in a cache of half a megabyte (64 channels, l ≤ 2)."""

NUMBERS = 16384
"""Numbers of the products of the edges at a time: where a convolution has few products, more edges."""

Rows = list[jax.Array]
"""Components as separate arrays ``[edges, channels]``: XLA turns each into one loop over contiguous memory."""


class Edges(NamedTuple):
    """Where edges begin and end.

    Attributes:
        senders: ``[n_edge]``.
        receivers: ``[n_edge]``.
        rows: row of the weights that each edge has, ``[n_edge]``.
    """

    senders: jax.Array
    receivers: jax.Array
    rows: jax.Array


@dataclass(frozen=True, eq=False)
class Sums:
    """Clebsch-Gordan sums of some couplings, unrolled.

    Attributes:
        n_input: components of all features, Σ (2l1 + 1).
        path: path of each product: of each component of its result.
        output: component of the result that each product is added to.
        terms: for each product the (component of the features, factor) to sum over. The factor is a column of
            ``columns``, or a real number where the harmonic is that of degree 0.
        columns: what multiplies the features, by component of the other harmonics: ``[Σ (2l2 + 1), n_column]``.
        triples: for each component of the other harmonics (coefficient, component of the features, product).
    """

    n_input: int
    path: tuple[int, ...]
    output: tuple[int, ...]
    terms: tuple[tuple[tuple[int, int | float], ...], ...]
    columns: np.ndarray
    triples: tuple[tuple[tuple[float, int, int], ...], ...]


@lru_cache
def sums_of(couplings: Couplings, l_max: int) -> Sums:
    """Sums of these couplings with harmonics of degrees up to ``l_max``, ordered by (output, m3, path)."""
    starts = np.cumsum([0, *(2 * degree + 1 for degree in couplings.inputs)])
    coefficients = [
        np.where(np.abs(c) > 1e-10, c, 0.0)
        for first, l2, last in couplings.paths
        for c in [clebsch_gordan(couplings.inputs[first], l2, couplings.outputs[last])]
    ]
    path: list[int] = []
    places: list[tuple[int, ...]] = []
    terms: list[tuple[tuple[int, int | float], ...]] = []
    columns: list[np.ndarray] = []
    triples: list[list[tuple[float, int, int]]] = [[] for _ in range((l_max + 1) ** 2)]
    order = sorted((path[2], m3, i) for i, path in enumerate(couplings.paths) for m3 in range(coefficients[i].shape[2]))
    for last, m3, i in order:
        (first, l2, _), own = couplings.paths[i], coefficients[i][:, :, m3]
        row: list[tuple[int, int | float]] = []
        for m1 in np.flatnonzero(np.abs(own).sum(axis=1)):
            component = int(starts[first] + m1)
            if l2 == 0:
                row.append((component, float(own[m1, 0])))
                continue
            row.append((component, len(columns)))
            column = np.zeros((l_max + 1) ** 2)
            column[l2**2 : (l2 + 1) ** 2] = own[m1]
            columns.append(column)
            for m2 in np.flatnonzero(own[m1]):
                triples[l2**2 + m2].append((float(own[m1, m2]), component, len(path)))
        path.append(i)
        places.append((last, m3) if couplings.summed else (last, m3, i))
        terms.append(tuple(row))
    matrix = np.array(columns).reshape(-1, (l_max + 1) ** 2)[:, 1:].T
    output = tuple(map(sorted(set(places)).index, places))
    return Sums(int(starts[-1]), tuple(path), output, tuple(terms), matrix, tuple(map(tuple, triples[1:])))


def forward(couplings: Couplings, h: jax.Array, y: jax.Array, r: jax.Array, edges: Edges) -> jax.Array:
    """∂Q/∂B: the convolution, ``[n_node, Σ_paths (2l3 + 1), channels]``, see :func:`convolve_in_chunks`."""
    sums = sums_of(couplings, _degree(y))

    def chunk(total: Any, values: tuple[jax.Array], at: Edges) -> tuple[Any, tuple[()]]:
        messages = _weigh(sums, _take(r, at.rows), _couple(sums, (unstack(values[0]), _take(h, at.senders))))
        return (_add_at(total[0], at.receivers, _collect(sums, messages)),), ()

    start = jnp.zeros((h.shape[0], max(sums.output) + 1, h.shape[2]), h.dtype)
    return _pass(sums, chunk, (start,), (_matrices(sums, y),), edges)[0][0]


def backward(
    couplings: Couplings, h: jax.Array, y: jax.Array, r: jax.Array, b: jax.Array, edges: Edges
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """∂Q/∂(h, Y, R)."""
    sums, b = sums_of(couplings, _degree(y)), _with_nothing(b)

    def chunk(total: Any, values: tuple[jax.Array], at: Edges) -> tuple[Any, tuple[jax.Array]]:
        matrix, hs = unstack(values[0]), _take(h, at.senders)
        bs, rs = _spread(sums, _take(b, at.receivers)), _take(r, at.rows)
        coupled, weighed = _couple(sums, (matrix, hs)), _weigh(sums, rs, bs)
        dh = _add_at(total[0], at.senders, _uncouple(sums, (matrix, weighed)))
        dr = _add_at(total[1], at.rows, _contract(sums, coupled, bs))
        return (dh, dr), (_to_harmonics(sums, (hs, weighed)),)

    start = jnp.zeros_like(h), jnp.zeros_like(r)
    (dh, dr), (dy,) = _pass(sums, chunk, start, (_matrices(sums, y),), edges)
    return dh, dy, dr


def second(
    couplings: Couplings,
    operands: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
    cotangents: tuple[jax.Array, jax.Array, jax.Array],
    edges: Edges,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Gradient by (h, Y, R, B) of Q(h′, Y, R, B) + Q(h, Y′, R, B) + Q(h, Y, R′, B)."""
    (h, y, r, b), (h1, y1, r1) = operands, cotangents
    start = jnp.zeros_like(b), jnp.zeros_like(h), jnp.zeros_like(r)
    sums, b = sums_of(couplings, _degree(y)), _with_nothing(b)

    def chunk(total: Any, values: tuple[jax.Array, jax.Array], at: Edges) -> tuple[Any, tuple[jax.Array]]:
        matrix, matrix1 = unstack(values[0]), unstack(values[1])
        hs, hs1, bs = _take(h, at.senders), _take(h1, at.senders), _spread(sums, _take(b, at.receivers))
        rs, rs1 = _take(r, at.rows), _take(r1, at.rows)
        coupled, coupled1 = _couple(sums, (matrix, hs)), _couple(sums, (matrix, hs1), (matrix1, hs))
        weighed, weighed1 = _weigh(sums, rs, bs), _weigh(sums, rs1, bs)
        changes = [x + y for x, y in zip(_weigh(sums, rs, coupled1), _weigh(sums, rs1, coupled), strict=True)]
        db = _add_at(total[0], at.receivers, _collect(sums, changes))
        dh = _add_at(total[1], at.senders, _uncouple(sums, (matrix, weighed1), (matrix1, weighed)))
        dr = _add_at(total[2], at.rows, _contract(sums, coupled1, bs))
        return (db, dh, dr), (_to_harmonics(sums, (hs1, weighed), (hs, weighed1)),)

    (db, dh, dr), (dy,) = _pass(sums, chunk, start, (_matrices(sums, y), _matrices(sums, y1)), edges)
    return dh, dy, dr, db


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def convolve_in_chunks(couplings: Couplings, h: jax.Array, y: jax.Array, r: jax.Array, edges: Edges) -> jax.Array:
    """The convolution, its first and its second reverse derivative by one pass over the edges each.

    Args:
        couplings: the products.
        h: features of the nodes, components of all one after the other, ``[n_node, Σ (2l1 + 1), channels]``.
        y: harmonics of the edges of degrees 1 … l_max, ``[n_edge, (l_max + 1)² − 1]``.
        r: weights, ``[n_row, n_path, channels]``.
        edges: where they begin and end, and which row of the weights they have.

    Returns:
        ``[n_node, Σ_paths (2l3 + 1), channels]``, ordered by output, then component, then path.
    """
    return forward(couplings, h, y, r, edges)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gradient(
    couplings: Couplings, h: jax.Array, y: jax.Array, r: jax.Array, b: jax.Array, edges: Edges
) -> tuple[jax.Array, jax.Array, jax.Array]:
    return backward(couplings, h, y, r, b, edges)


# The results are those of the functions themselves, not of what they call: in a derivative of a derivative they are
# differentiated in turn, by the rules given here.
convolve_in_chunks.defvjp(
    lambda couplings, *args: (convolve_in_chunks(couplings, *args), args),
    lambda couplings, args, b: (*_gradient(couplings, *args[:3], b, args[3]), None),
)
_gradient.defvjp(
    lambda couplings, *args: (_gradient(couplings, *args), args),
    lambda couplings, args, cotangents: (*second(couplings, args[:4], cotangents, args[4]), None),
)


def _pass(
    sums: Sums,
    chunk: Callable[[Any, Any, Edges], tuple[Any, Any]],
    start: tuple[jax.Array, ...],
    values: tuple[jax.Array, ...],
    edges: Edges,
) -> tuple[Any, Any]:
    """Call ``chunk(totals, values, edges)`` on a few edges at a time: the totals, and what it returns for each edge.

    A program lowered for anything but a CPU (an exported one, say) takes all edges at once, without a loop.
    """
    size = max(CHUNK, NUMBERS // (len(sums.path) * start[0].shape[2]))
    return jax.lax.platform_dependent(start, values, edges, cpu=partial(_in_pieces, size, chunk), default=chunk)


def _in_pieces(
    size: int,
    chunk: Callable[[Any, Any, Edges], tuple[Any, Any]],
    start: tuple[jax.Array, ...],
    values: tuple[jax.Array, ...],
    edges: Edges,
) -> tuple[Any, Any]:
    """The loop. Edges that fill up the last piece end at a node after the last, where nothing comes from or stays."""
    n_edge, n_node = edges.senders.shape[0], start[0].shape[0]
    size = min(size, max(n_edge, 1)) if isinstance(n_edge, int) else size  # exported programs leave sizes open
    n_chunk = (n_edge + size - 1) // size

    def divide(x: jax.Array) -> jax.Array:
        filled = jnp.asarray(x).at[jnp.arange(n_chunk * size)].get(mode="fill", fill_value=0)
        return filled.reshape(n_chunk, size, *x.shape[1:])

    pieces: Edges = jax.tree.map(divide, edges)._replace(receivers=divide(edges.receivers - n_node) + n_node)
    totals, each = jax.lax.scan(lambda total, xs: chunk(total, *xs), start, (jax.tree.map(divide, values), pieces))
    return totals, jax.tree.map(lambda x: x.reshape(n_chunk * size, *x.shape[2:])[:n_edge], each)


def _degree(y: jax.Array) -> int:
    return round((y.shape[-1] + 1) ** 0.5) - 1


def _with_nothing(b: jax.Array) -> jax.Array:
    """One node more, of zeros."""
    return jnp.concatenate([b, jnp.zeros_like(b[:1])])


def _matrices(sums: Sums, y: jax.Array) -> jax.Array:
    """What multiplies the features of each edge, ``[n_edge, n_column]``."""
    return jnp.matmul(y, jnp.asarray(sums.columns, y.dtype), precision="highest")


def _couple(sums: Sums, whole: tuple[Rows, Rows], *changes: tuple[Rows, Rows]) -> Rows:
    """Σ C h Y for every product, summed over pairs of matrix and h: of Y, and of changes of Y."""
    return [
        _sum(
            [_times(whole[0], factor, whole[1][i]) for i, factor in row]
            + [_times(matrix, factor, h[i]) for matrix, h in changes for i, factor in row if isinstance(factor, int)]
        )
        for row in sums.terms
    ]


def _uncouple(sums: Sums, whole: tuple[Rows, Rows], *changes: tuple[Rows, Rows]) -> Rows:
    """Σ C Y (R B) for every component of the features, summed over pairs of matrix and R B like those of h."""
    terms: list[Rows] = [[] for _ in range(sums.n_input)]
    for matrix, weighed in (whole, *changes):
        for value, row in zip(weighed, sums.terms, strict=True):
            for i, factor in row:
                if matrix is whole[0] or isinstance(factor, int):
                    terms[i].append(_times(matrix, factor, value))
    # A feature that no path takes gets nothing.
    return [_sum(x) if x else jnp.zeros_like(whole[1][0]) for x in terms]


def _times(matrix: Rows, factor: int | float, x: jax.Array) -> jax.Array:
    """A column of the matrix, or a number, times ``x``."""
    if isinstance(factor, int):
        return matrix[factor][:, None] * x
    return x if factor == 1.0 else factor * x


def _to_harmonics(sums: Sums, *pairs: tuple[Rows, Rows]) -> jax.Array:
    """Σ C h (R B), summed over the channels and pairs of h and R B, ``[edges, n_harmonic]``.

    Coefficients first, then the sum over channels: there are ten times fewer of those to take than entries of the
    matrices. One row more, of zeros: eight rows of 64 channels, for l ≤ 2, would lie a power of two apart in the cache.
    """
    zero = jnp.zeros_like(pairs[0][1][0])
    rows = [
        [coefficient * (h[i] * weighed[o]) for h, weighed in pairs for coefficient, i, o in terms]
        for terms in sums.triples
    ]
    return stack([zero, *(_sum(row) if row else zero for row in rows)]).sum(axis=-1)[:, 1:]


def _weigh(sums: Sums, r: Rows, values: Rows) -> Rows:
    """R times every product."""
    return [r[path] * value for path, value in zip(sums.path, values, strict=True)]


def _contract(sums: Sums, a: Rows, b: Rows) -> Rows:
    """Σ_m3 a b for every path."""
    return _gather_up(sums.path, [x * y for x, y in zip(a, b, strict=True)])


def _collect(sums: Sums, products: Rows) -> Rows:
    """Components of the result: sums of products."""
    return _gather_up(sums.output, products)


def _spread(sums: Sums, b: Rows) -> Rows:
    """For each product, what its component of the result is multiplied by."""
    return [b[i] for i in sums.output]


def _gather_up(places: Sequence[int], values: Rows) -> Rows:
    """Sums of the values with each place."""
    return [_sum([x for i, x in zip(places, values, strict=True) if i == place]) for place in range(max(places) + 1)]


def _sum(terms: Sequence[jax.Array]) -> jax.Array:
    return sum(terms[1:], terms[0])


def _take(x: jax.Array, rows: jax.Array) -> Rows:
    """Components of these rows."""
    return unstack(jnp.asarray(x).at[rows].get(mode="promise_in_bounds"))


def _add_at(total: jax.Array, rows: jax.Array, components: Rows) -> jax.Array:
    """Components added to these rows; those after the last row are left out."""
    return total.at[rows].add(stack(components), mode="drop")
