import itertools
import time

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_graphs import gaussian_params

from compbench_jax.models.equivariant import symmetric
from compbench_jax.models.equivariant.backend import computed_by
from compbench_jax.models.equivariant.spherical import clebsch_gordan, parity_irreps
from compbench_jax.models.equivariant.symmetric import (
    SymmetricContraction,
    dense_products,
    product_basis,
    weighted_products,
)
from compbench_jax.models.layers.elementwise import by_component

SPECIES = np.array([0, 1, 1, 0])


def features(l_max, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=(4, 2 * d + 1, channels)).astype(np.float32) for d in range(l_max + 1))


def full_tensor(basis, n_component):
    """The basis as tensors that are symmetric in all their factors: what mace-torch calls U."""
    order = basis.monomials.shape[1]
    tensor = np.zeros((n_component,) * order + (basis.matrix.shape[1],))
    for monomial, row in zip(basis.monomials, basis.matrix, strict=True):
        places = set(itertools.permutations(monomial))
        for place in places:
            tensor[place] = row / len(places)
    return tensor


def iterated_couplings(l_in, l_out, order):
    """All couplings of ``order`` factors to degree ``l_out`` by repeated Clebsch-Gordan products, symmetrised."""
    n = (l_in + 1) ** 2
    tensors = {}
    for degree in range(l_in + 1):
        start = np.zeros((n, 2 * degree + 1))
        start[degree**2 : (degree + 1) ** 2] = np.eye(2 * degree + 1)
        tensors.setdefault(degree, []).append(start)
    for _ in range(order - 1):
        longer = {}
        for (l1, items), l2 in itertools.product(tensors.items(), range(l_in + 1)):
            single = np.zeros((n, 2 * l2 + 1))
            single[l2**2 : (l2 + 1) ** 2] = np.eye(2 * l2 + 1)
            # Intermediate degrees of either parity occur in MACE's couplings, so none is left out here.
            for l3 in range(abs(l1 - l2), l1 + l2 + 1):
                for item in items:
                    coupled = np.einsum("...a,jb,abc->...jc", item, single, clebsch_gordan(l1, l2, l3))
                    longer.setdefault(l3, []).append(coupled)
        tensors = longer
    result = []
    for item in tensors[l_out]:
        turns = [np.moveaxis(item, range(order), p) for p in itertools.permutations(range(order))]
        result.append(np.mean(turns, axis=0))
    # Only couplings of the parity (−1)^L survive between factors of the spherical harmonics' parity.
    parity = np.concatenate([[(-1) ** d] * (2 * d + 1) for d in range(l_in + 1)])
    signs = parity
    for _ in range(order - 1):
        signs = np.multiply.outer(signs, parity)
    return [item * (signs == (-1) ** l_out)[..., None] for item in result]


@pytest.mark.parametrize(("l_in", "order"), [(2, 1), (2, 2), (3, 2), (2, 3), (1, 3)])
def test_spans_all_couplings(l_in, order):
    """Neither more nor less than what iterated Clebsch-Gordan products give, symmetrised: mace-torch's U matrices."""
    basis = product_basis(l_in, min(l_in, 2), order)
    tensor, start = full_tensor(basis, (l_in + 1) ** 2), 0
    for degree, n_path in enumerate(basis.n_path):
        stop = start + n_path * (2 * degree + 1)
        ours = np.moveaxis(tensor[..., start:stop].reshape(*tensor.shape[:-1], n_path, -1), -2, 0).reshape(n_path, -1)
        theirs = np.stack(iterated_couplings(l_in, degree, order)).reshape(-1, ours.shape[1])
        assert np.linalg.matrix_rank(ours, tol=1e-4) == n_path
        assert np.linalg.matrix_rank(theirs, tol=1e-4) == n_path
        assert np.linalg.matrix_rank(np.vstack([ours, theirs]), tol=1e-4) == n_path
        start = stop


@pytest.mark.parametrize("order", [1, 2, 3])
def test_columns_are_normalised(order):
    tensor = full_tensor(product_basis(2, 1, order), 9)
    np.testing.assert_allclose((tensor**2).sum(axis=tuple(range(order))), 1, rtol=1e-5)


@pytest.mark.parametrize(("l_in", "l_out", "correlation"), [(2, 2, 2), (2, 1, 3), (3, 1, 3)])
def test_equivariance(l_in, l_out, correlation):
    module = SymmetricContraction(correlation, l_out, 2)
    a = features(l_in)
    params = gaussian_params(module, a, SPECIES)
    apply = jax.jit(module.apply)
    turns = [np.asarray(irrep.D_from_angles(0.4, 1.3, -0.2)) * irrep.p for _, irrep in parity_irreps(l_in)]
    before = apply(params, a, SPECIES)
    turned = tuple(np.einsum("ab,nbk->nak", turns[d], x) for d, x in enumerate(a))
    after = apply(params, turned, SPECIES)
    for degree, (b, found) in enumerate(zip(before, after, strict=True)):
        assert np.abs(b).max() > 1e-2
        np.testing.assert_allclose(found, np.einsum("ab,nbk->nak", turns[degree], b), atol=1e-4)


def test_second_order_scalars_are_the_norms():
    """B_0 of order 2 is Σ_l w_l |A_l|² / √(2l + 1), by hand, with the weights of each atom's element."""
    module, a = SymmetricContraction(2, 0, 2), features(2)
    params = gaussian_params(module, a, SPECIES)["params"]
    params = {**params, "weight_1_0": np.zeros_like(params["weight_1_0"])}
    (found,) = jax.jit(module.apply)({"params": params}, a, SPECIES)
    basis = product_basis(2, 0, 2)
    # Which degree a path pairs and with which sign, read off its first component's square.
    expected = 0
    for path in range(3):
        column = basis.matrix[:, path]
        (degree,) = [d for d in range(3) if abs(column[basis.monomials.tolist().index([d * d, d * d])]) > 1e-6]
        sign = np.sign(column[basis.monomials.tolist().index([degree**2, degree**2])])
        norm = (np.asarray(a[degree]) ** 2).sum(axis=1) / np.sqrt(2 * degree + 1)
        expected = expected + sign * np.asarray(params["weight_2_0"])[SPECIES, path] * norm
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)


def test_second_order_equals_clebsch_gordan_products():
    """B_L of order 2 lies in the span of the products of e3nn, and fills it: fitted weights leave no residual."""
    rng = np.random.default_rng(1)
    a = [rng.normal(size=(60, 2 * d + 1)) for d in range(3)]
    joined = np.concatenate(a, axis=1)
    basis, start = product_basis(2, 2, 2), 0
    monomials = joined[:, basis.monomials[:, 0]] * joined[:, basis.monomials[:, 1]]
    for degree, n_path in enumerate(basis.n_path):
        stop = start + n_path * (2 * degree + 1)
        ours = (monomials @ basis.matrix[:, start:stop]).reshape(60, n_path, -1)
        ours = ours.swapaxes(1, 2).reshape(-1, n_path)
        theirs = []
        for l1, l2 in itertools.combinations_with_replacement(range(3), 2):
            if abs(l1 - l2) <= degree <= l1 + l2 and (l1 + l2 + degree) % 2 == 0:
                coupled = np.einsum("na,nb,abc->nc", a[l1], a[l2], clebsch_gordan(l1, l2, degree))
                theirs.append(coupled.ravel())
        _, residual, rank, _ = np.linalg.lstsq(ours, np.stack(theirs, axis=1), rcond=None)
        assert rank == n_path == len(theirs)
        np.testing.assert_allclose(residual, 0, atol=1e-6)
        start = stop


def test_weights_of_the_element_are_used():
    module, a = SymmetricContraction(2, 1, 2), features(2)
    params = gaussian_params(module, a, SPECIES)
    apply = jax.jit(module.apply)
    here, there = (np.asarray(apply(params, a, np.full(4, s))[0]) for s in (0, 1))
    mixed = np.asarray(apply(params, a, SPECIES)[0])
    np.testing.assert_allclose(mixed[SPECIES == 0], here[SPECIES == 0], rtol=1e-5)
    np.testing.assert_allclose(mixed[SPECIES == 1], there[SPECIES == 1], rtol=1e-5)
    assert np.abs(here - there).max() > 1e-2


def test_number_of_paths():
    """As many as e3nn counts in the symmetric powers of 0e + 1o + 2e."""
    assert product_basis(2, 2, 2).n_path == (3, 2, 3)
    irreps = e3nn.reduced_symmetric_tensor_product_basis(parity_irreps(2), 3, keep_ir=["0e", "1o", "2e"]).irreps
    assert product_basis(2, 2, 3).n_path == tuple(multiplicity for multiplicity, _ in irreps)


def test_is_built_quickly():
    product_basis.cache_clear()
    start = time.process_time()
    product_basis(2, 2, 2)
    assert time.process_time() - start < 2


def derivative(function):
    """Gradient of a function that mixes all components of the gradient."""
    return lambda *args: sum(jnp.sum(x**3 + x) for x in jax.tree.leaves(jax.grad(function, (0, 1))(*args)))


@pytest.mark.parametrize(("what", "highest"), [((2, 1, 2), 2), ((1, 1, 3), 2), ((1, 1, 2), 3)])
def test_written_out_it_is_the_dense_form(what, highest):
    """Value and derivatives, to the third order in one case."""
    rng = np.random.default_rng(3)
    n_path = sum(sum(product_basis(what[0], what[1], order).n_path) for order in range(1, what[2] + 1))
    a, weights = rng.normal(size=(4, (what[0] + 1) ** 2, 3)), rng.normal(size=(4, n_path, 3))
    forms = (
        lambda a, weights: dense_products(*what, a, weights),
        lambda a, weights: by_component(weighted_products(*what), (a, weights)),
    )
    with jax.enable_x64(True):
        found = []
        for form in forms:
            orders = [lambda a, weights, form=form: jnp.sum(jnp.sin(form(a, weights)))]
            for _ in range(highest - 1):
                orders.append(derivative(orders[-1]))
            gradients = [jax.grad(function, (0, 1)) for function in orders]
            every = jax.jit(lambda *x, form=form, gradients=gradients: (form(*x), [g(*x) for g in gradients]))
            found.append(every(a, weights))
        for dense, written in zip(*map(jax.tree.leaves, found), strict=True):
            assert np.abs(dense).max() > 0.1
            np.testing.assert_allclose(written, dense, rtol=1e-9, atol=1e-9 * np.abs(dense).max())


def test_members_are_computed_together():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(3, 4, 9, 2)).astype(np.float32)
    weights = rng.normal(size=(3, 4, 9, 2)).astype(np.float32)  # 1 + 1 paths of order 1, 3 + 2 of order 2, and two idle
    function = jax.grad(lambda a, weights: jnp.sum(by_component(weighted_products(2, 1, 2), (a, weights)) ** 2))
    together = jax.jit(jax.vmap(function))(a, weights)
    for k in range(3):
        np.testing.assert_allclose(together[k], function(a[k], weights[k]), rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize(("correlation", "chosen"), [(2, True), (3, False)])
def test_few_terms_are_written_out(correlation, chosen, monkeypatch):
    """Of correlation 3 and degrees up to 3 there are hundreds: too many to compile one by one."""
    calls = []
    monkeypatch.setattr(symmetric, "by_component", lambda *args: calls.append(1) or by_component(*args))
    module, a = SymmetricContraction(correlation, 1, 2), features(3)
    jax.eval_shape(module.init, jax.random.key(0), a, SPECIES)
    assert bool(calls) == (chosen and jax.default_backend() == "cpu")
    calls.clear()
    with computed_by("plain"):
        jax.eval_shape(module.init, jax.random.key(0), a, SPECIES)
    assert not calls
