"""Symmetric contraction: MACE's many-body product basis (Batatia et al. 2022, arXiv 2206.07697, eqs. 10 and 11).

For each order ν ≤ correlation and output degree L,

    B_L,M = Σ_η W[species, η] Σ_{i ≤ j ≤ …} U[(i, j, …), η, M] A_i A_j …

where i, j, … run over all (l, m) of one channel. mace-torch contracts tensors U with every index free; as the product
of A's is symmetric only the monomials i ≤ j ≤ … matter. On a CPU the few terms there are of correlation 2 are written
out one by one; otherwise a dense matrix of monomials times paths does the work as a single matrix product an order.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, permutations

import e3nn_jax as e3nn
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.equivariant.backend import in_chunks
from compbench_jax.models.equivariant.spherical import parity_irreps
from compbench_jax.models.equivariant.tensor_product import Features
from compbench_jax.models.layers.elementwise import Components, Function, by_component

MOST_TERMS = 128
"""Most terms of a contraction that is written out; with more (correlation 3) the dense matrix is compiled sooner."""


@dataclass(frozen=True, eq=False)
class ProductBasis:
    """Independent symmetric invariants and covariants of one order.

    Attributes:
        monomials: components of each monomial, ascending, int ``[n_monomial, order]``.
        matrix: ``[n_monomial, Σ_L n_path(L) (2L + 1)]``, ordered by L, path, M.
        n_path: number of paths of each L.
    """

    monomials: np.ndarray
    matrix: np.ndarray
    n_path: tuple[int, ...]


@lru_cache
def product_basis(l_in: int, l_out: int, order: int) -> ProductBasis:
    """Basis of the symmetric products of ``order`` factors with degrees 0 … ``l_in``, of degrees 0 … ``l_out``.

    Spans what mace-torch's ``U_matrix_real`` spans after symmetrisation, without its linear dependences. A column,
    seen as a symmetric tensor, has Frobenius norm 1, as e3nn's "component" normalised coupling has.
    """
    keep = [irrep for _, irrep in parity_irreps(l_out)]
    basis = e3nn.reduced_symmetric_tensor_product_basis(parity_irreps(l_in), order, keep_ir=keep)
    tensor = np.asarray(basis.array, np.float64)
    n_path = [0] * (l_out + 1)
    for multiplicity, irrep in basis.irreps:
        n_path[irrep.l] += multiplicity
    n_component = (l_in + 1) ** 2
    monomials = np.array(list(combinations_with_replacement(range(n_component), order)))
    repeats = np.array([len(set(permutations(monomial))) for monomial in monomials])
    columns = tensor.reshape(-1, tensor.shape[-1])
    columns = columns / np.linalg.norm(columns, axis=0)
    matrix = columns.reshape(tensor.shape)[tuple(monomials.T)] * repeats[:, None]
    matrix[np.abs(matrix) < 1e-10] = 0.0
    return ProductBasis(monomials, matrix, tuple(n_path))


class SymmetricContraction(nn.Module):
    """Weighted products of up to ``correlation`` copies of the features, channel by channel.

    As in mace-torch the weights depend on the element of the centre and start as N(0, 1) divided by the number of
    paths of that order and degree.
    """

    correlation: int
    l_out: int
    n_species: int

    @nn.compact
    def __call__(self, features: Features, species: jax.Array) -> Features:
        """Features ``[n, 2l + 1, channels]`` in, of degrees 0 … ``l_out`` and the same shape out."""
        l_in, channels = len(features) - 1, features[0].shape[-1]
        a, by_element = jnp.concatenate(features, axis=1), []
        for order in range(1, self.correlation + 1):
            for degree, n_path in enumerate(product_basis(l_in, self.l_out, order).n_path):
                weight = self.param(
                    f"weight_{order}_{degree}",
                    nn.initializers.normal(1.0 / n_path),
                    (self.n_species, n_path, channels),
                ) if n_path else jnp.zeros((self.n_species, 0, channels))  # fmt: skip
                by_element.append(weight.astype(a.dtype)[species])
        weights = jnp.concatenate(by_element, axis=1)
        what = l_in, self.l_out, self.correlation
        if in_chunks() and sum(map(len, monomial_sums(*what).terms)) <= MOST_TERMS:
            stacked = by_component(weighted_products(*what), (a, weights))
        else:
            stacked = dense_products(*what, a, weights)
        return tuple(stacked[:, degree**2 : (degree + 1) ** 2] for degree in range(self.l_out + 1))


def _raise_power(power: jax.Array, previous: np.ndarray, a: jax.Array, monomials: np.ndarray) -> jax.Array:
    """Monomials of one more factor: those of the first factors, already in ``power``, times the last factor."""
    row = {tuple(monomial): i for i, monomial in enumerate(previous)}
    first = np.array([row[tuple(monomial[:-1])] for monomial in monomials])
    return power[:, first] * a[:, monomials[:, -1]]


def dense_products(l_in: int, l_out: int, correlation: int, a: jax.Array, weights: jax.Array) -> jax.Array:
    """The contraction by one matrix of monomials times paths for each order.

    Args:
        l_in: largest degree of the features.
        l_out: of the products.
        correlation: largest order.
        a: features, ``[n, (l_in + 1)², channels]``.
        weights: of each node, by order, degree and path, ``[n, Σ n_path, channels]``.

    Returns:
        ``[n, (l_out + 1)², channels]``.
    """
    n, _, channels = a.shape
    totals = [jnp.zeros((n, 2 * degree + 1, channels), a.dtype) for degree in range(l_out + 1)]
    power, previous, used = a, np.arange(a.shape[1])[:, None], 0
    for order in range(1, correlation + 1):
        basis = product_basis(l_in, l_out, order)
        if order > 1:
            power = _raise_power(power, previous, a, basis.monomials)
        previous = basis.monomials
        products = jnp.einsum("nqk,qp->npk", power, jnp.asarray(basis.matrix, a.dtype))
        start = 0
        for degree, n_path in enumerate(basis.n_path):
            size = n_path * (2 * degree + 1)
            part = products[:, start : start + size].reshape(n, n_path, 2 * degree + 1, channels)
            totals[degree] += jnp.einsum("npmk,npk->nmk", part, weights[:, used : used + n_path])
            start, used = start + size, used + n_path
    return jnp.concatenate(totals, axis=1)


@dataclass(frozen=True)
class MonomialSums:
    """The contraction written out: Σ over paths of a weight times a sum of monomials, for each component.

    Attributes:
        output: component of the result of each sum.
        path: its weight.
        terms: its (coefficient, monomial) pairs, as few as there are: of 45 × 24 entries for l ≤ 2 and order 2, 52.
    """

    output: tuple[int, ...]
    path: tuple[int, ...]
    terms: tuple[tuple[tuple[float, tuple[int, ...]], ...], ...]


@lru_cache
def monomial_sums(l_in: int, l_out: int, correlation: int) -> MonomialSums:
    """All sums of orders up to ``correlation``."""
    output: list[int] = []
    path: list[int] = []
    terms: list[tuple[tuple[float, tuple[int, ...]], ...]] = []
    used = 0
    for order in range(1, correlation + 1):
        basis = product_basis(l_in, l_out, order)
        columns = iter(basis.matrix.T)
        for degree, n_path in enumerate(basis.n_path):
            for p in range(n_path):
                for m in range(2 * degree + 1):
                    column = next(columns)
                    output.append(degree**2 + m)
                    path.append(used + p)
                    there = np.flatnonzero(column)
                    terms.append(tuple((float(column[q]), tuple(map(int, basis.monomials[q]))) for q in there))
            used += n_path
    return MonomialSums(tuple(output), tuple(path), tuple(terms))


@lru_cache
def weighted_products(l_in: int, l_out: int, correlation: int) -> Function:
    """The contraction as a function of the components of features and weights, see :func:`by_component`."""
    sums = monomial_sums(l_in, l_out, correlation)

    def products(a: Components, weights: Components) -> Components:
        known: dict[tuple[int, ...], jax.Array] = {(i,): component for i, component in enumerate(a)}

        def monomial(factors: tuple[int, ...]) -> jax.Array:
            if factors not in known:
                known[factors] = monomial(factors[:-1]) * a[factors[-1]]
            return known[factors]

        rows = [jnp.zeros_like(a[0]) for _ in range((l_out + 1) ** 2)]
        for output, path, terms in zip(sums.output, sums.path, sums.terms, strict=True):
            rows[output] += weights[path] * sum(c * monomial(factors) for c, factors in terms)
        return rows

    return products
