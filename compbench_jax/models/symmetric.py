"""Symmetric contraction: MACE's many-body product basis (Batatia et al. 2022, arXiv 2206.07697, eqs. 10 and 11).

For each order ν ≤ correlation and output degree L,

    B_L,M = Σ_η W[species, η] Σ_{i ≤ j ≤ …} U[(i, j, …), η, M] A_i A_j …

where i, j, … run over all (l, m) of one channel. mace-torch contracts tensors U with every index free; as the product
of A's is symmetric only the monomials i ≤ j ≤ … matter, and one dense matrix of monomials times paths does the same
work as a single matrix product.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, permutations

import e3nn_jax as e3nn
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.spherical import parity_irreps
from compbench_jax.models.tensor_product import Features


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
        a = jnp.concatenate(features, axis=1)
        totals: list[jax.Array | None] = [None] * (self.l_out + 1)
        power, previous = a, np.arange(a.shape[1])[:, None]
        for order in range(1, self.correlation + 1):
            basis = product_basis(l_in, self.l_out, order)
            if order > 1:
                power = _raise_power(power, previous, a, basis.monomials)
            previous = basis.monomials
            products = jnp.einsum("nqk,qp->npk", power, jnp.asarray(basis.matrix, a.dtype))
            start = 0
            for degree, n_path in enumerate(basis.n_path):
                size = n_path * (2 * degree + 1)
                if size == 0:
                    continue
                weight = self.param(
                    f"weight_{order}_{degree}",
                    nn.initializers.normal(1.0 / n_path),
                    (self.n_species, n_path, channels),
                )
                part = products[:, start : start + size].reshape(-1, n_path, 2 * degree + 1, channels)
                term = jnp.einsum("npmk,npk->nmk", part, weight.astype(a.dtype)[species])
                total = totals[degree]
                totals[degree] = term if total is None else total + term
                start += size
        return tuple(
            jnp.zeros((a.shape[0], 2 * degree + 1, channels), a.dtype) if total is None else total
            for degree, total in enumerate(totals)
        )


def _raise_power(power: jax.Array, previous: np.ndarray, a: jax.Array, monomials: np.ndarray) -> jax.Array:
    """Monomials of one more factor: those of the first factors, already in ``power``, times the last factor."""
    row = {tuple(monomial): i for i, monomial in enumerate(previous)}
    first = np.array([row[tuple(monomial[:-1])] for monomial in monomials])
    return power[:, first] * a[:, monomials[:, -1]]
