"""The convolution in chunks is the plain one, in value and derivatives, on every platform and for several members."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.models.equivariant import convolution
from compbench_jax.models.equivariant.backend import computed_by
from compbench_jax.models.equivariant.e3j_kernels import coefficients
from compbench_jax.models.equivariant.tensor_product import Couplings, convolve

N_NODE, N_EDGE, CHANNELS = 4, 11, 2
MIXED = Couplings((0, 1, 1), (0, 1, 1), ((0, 0, 0), (1, 1, 0), (0, 1, 1), (2, 1, 1), (1, 1, 2), (2, 0, 2)))
"""A scalar, a vector and a pseudovector."""

EVEN = Couplings((0, 2), (0, 1, 2), ((0, 0, 0), (1, 2, 0), (1, 1, 1), (1, 2, 2)))
"""Degrees up to 2, some of the products that MACE takes."""

SUMMED = Couplings((0, 1, 0), (0, 1), ((0, 0, 0), (1, 1, 0), (1, 0, 1), (2, 1, 1)), summed=True)
"""Both paths to each result added up."""

SCALAR = Couplings((0,), (0,), ((0, 0, 0),))
"""No harmonics but the constant."""

SINGLE = Couplings((1,), (1,), ((0, 0, 0), (0, 1, 0)))

QUICK = {"xla_backend_optimization_level": 0}


def operands(couplings, seed=0):
    """Features, harmonics above degree 0 and weights, in float64, and the arguments that are not differentiated."""
    rng = np.random.default_rng(seed)
    features = tuple(rng.normal(size=(N_NODE, 2 * d + 1, CHANNELS)) for d in couplings.inputs)
    degrees = range(1, max(p[1] for p in couplings.paths) + 1)
    harmonics = tuple(rng.normal(size=(N_EDGE, 2 * d + 1)) for d in degrees)
    weights = rng.normal(size=(N_EDGE // 2, len(couplings.paths), CHANNELS))
    senders, receivers = rng.integers(N_NODE, size=N_EDGE), np.sort(rng.integers(N_NODE, size=N_EDGE))
    rows = rng.integers(N_EDGE // 2, size=N_EDGE)
    return (features, harmonics, weights), (senders, receivers, couplings, rows)


def energy(rest):
    def total(operands):
        features, harmonics, weights = operands
        constant = jnp.ones_like(rest[0], weights.dtype)[:, None]
        found = convolve(features, (constant, *harmonics), weights, *rest)
        return sum(jnp.sum(jnp.sin(x) * (1 + jnp.arange(x.shape[-1]))) for x in found)

    return total


def derivative(function):
    """Gradient of a function that mixes all components of the gradient."""
    return lambda operands: (
        function(operands) + sum(jnp.sum(x**3 + x) for x in jax.tree.leaves(jax.grad(function)(operands)))
    )


def values(total, operands, order):
    """Value, and the gradient of the derivative of this order: 1 for forces, 2 for what training takes of them."""
    highest = total
    for _ in range(order - 1):
        highest = derivative(highest)
    return total(operands), jax.grad(highest)(operands)


@pytest.mark.parametrize(
    ("couplings", "order"),
    [(EVEN, 2), (MIXED, 2), (SUMMED, 2), (SCALAR, 2), pytest.param(SINGLE, 3, marks=pytest.mark.slow)],
)
def test_value_and_derivatives_are_those_of_the_plain_form(couplings, order, monkeypatch):
    with jax.enable_x64(True):
        args, rest = operands(couplings)
        found = {}
        four_edges_at_a_time(monkeypatch)
        for form in ("plain", "chunks", "chunks elsewhere"):
            if form == "chunks elsewhere":  # what programs for other platforms do
                monkeypatch.setattr(convolution, "_in_pieces", lambda size, chunk, *operands: chunk(*operands))
            program = jax.jit(lambda args: values(energy(rest), args, order), compiler_options=QUICK)
            with computed_by(form.split()[0]):
                found[form] = jax.tree.leaves(program(args))
        for expected, value, elsewhere in zip(*found.values(), strict=True):
            largest = np.abs(expected).max()
            assert largest > 1e-3
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12 * largest)
            np.testing.assert_allclose(elsewhere, expected, rtol=0, atol=1e-12 * largest)


def four_edges_at_a_time(monkeypatch):
    monkeypatch.setattr(convolution, "CHUNK", 4)
    monkeypatch.setattr(convolution, "NUMBERS", 0)


def scans(jaxpr):
    """All scans of a program, also those inside of others."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from scans(inner)


@pytest.mark.parametrize(("couplings", "loops"), [(EVEN, True), (SUMMED, False), (SCALAR, False)])
def test_on_a_cpu_few_products_are_taken_all_at_once(couplings, loops):
    args, rest = operands(couplings)
    assert bool(list(scans(jax.make_jaxpr(energy(rest))(args).jaxpr))) == loops


@computed_by("chunks")
def test_training_keeps_no_message(monkeypatch):
    """The training derivative is a few passes, none of which hands on anything of every edge and channel."""
    four_edges_at_a_time(monkeypatch)
    args, rest = operands(EVEN)
    passes = list(scans(jax.make_jaxpr(jax.grad(derivative(energy(rest))))(args).jaxpr))
    assert 3 <= len(passes) <= 6
    for equation in passes:
        shapes = [variable.aval.shape for variable in equation.outvars]
        assert not [shape for shape in shapes if shape[:2] == (3, 4) and shape[-1] == CHANNELS], shapes


@computed_by("chunks")
def test_members_at_once_are_each_by_itself(monkeypatch):
    four_edges_at_a_time(monkeypatch)
    (features, harmonics, _), rest = operands(SINGLE)
    weights = jnp.stack([operands(SINGLE, seed)[0][2] for seed in range(2)])

    def gradient(weights):
        return jax.grad(lambda w: derivative(energy(rest))((features, harmonics, w)))(weights)

    together = jax.jit(jax.vmap(gradient), compiler_options=QUICK)(weights)
    for weight, found in zip(weights, together, strict=True):
        alone = jax.jit(gradient, compiler_options=QUICK)(weight)
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-5 * np.abs(alone).max())


@computed_by("chunks")
def test_lowers_for_all_platforms_and_open_sizes():
    n_node, n_edge = jax.export.symbolic_shape("n_node, n_edge")
    shapes = ((n_node, 3, CHANNELS), (n_edge, 3), (n_edge, 2, CHANNELS))

    def total(h, y, w, senders, receivers):
        return energy((senders, receivers, SINGLE))(((h,), (y,), w))

    specs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    specs += [jax.ShapeDtypeStruct((n_edge,), jnp.int32)] * 2
    exported = jax.export.export(jax.jit(jax.grad(total)), platforms=("cpu", "cuda", "tpu"))(*specs)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    for platform, loops in (("cpu", True), ("cuda", False), ("tpu", False)):
        program = jax.export.export(jax.jit(jax.grad(total)), platforms=(platform,))(*specs).mlir_module()
        assert ("stablehlo.while" in program) is loops, platform


@pytest.mark.parametrize("couplings", [EVEN, MIXED, SUMMED, SCALAR])
def test_the_terms_of_the_kernels_are_the_plain_form(couplings):
    (features, harmonics, weights), (senders, receivers, _, rows) = operands(couplings)
    h, y = np.concatenate(features, axis=1), np.concatenate([np.ones((N_EDGE, 1)), *harmonics], axis=1)
    values, indices = coefficients(couplings, len(harmonics))
    found = np.zeros((N_NODE, indices[:, 0].max() + 1, CHANNELS))
    for value, (result, feature, harmonic, path) in zip(values, indices, strict=True):
        term = value * h[senders, feature] * y[:, harmonic, None] * weights[rows, path]
        np.add.at(found[:, result], receivers, term)
    with jax.enable_x64(True), computed_by("plain"):
        expected = convolve(features, (y[:, :1], *harmonics), weights, senders, receivers, couplings, rows)
    start = 0
    for degree, values in zip(couplings.outputs, expected, strict=True):
        stop = start + values.size // (N_NODE * CHANNELS)
        part = found[:, start:stop].reshape(N_NODE, 2 * degree + 1, -1)
        np.testing.assert_allclose(part, values, rtol=0, atol=1e-12 * np.abs(values).max())
        start = stop
    assert start == found.shape[1]


def test_the_kernels_lower_for_cuda_to_second_derivatives():
    pytest.importorskip("e3j")
    args, rest = operands(EVEN)
    args = jax.tree.map(np.float32, args)
    with computed_by("e3j"):
        program = jax.jit(jax.vmap(jax.grad(derivative(energy(rest)))))
        checks = [jax.export.DisabledSafetyCheck.custom_call(name) for name in ("convolution", "convolution_bwd")]
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((2, *x.shape), jnp.float32), args)
        module = jax.export.export(program, platforms=("cuda",), disabled_checks=checks)(shapes).mlir_module()
    assert module.count("@convolution_bwd(") >= 2 and module.count("@convolution(") >= 2


def test_kernels_want_a_power_of_two_of_channels():
    pytest.importorskip("e3j")
    (features, harmonics, weights), rest = operands(SCALAR)
    three = ((features[0][..., :1].repeat(3, axis=2),), harmonics, weights[..., :1].repeat(3, axis=2))
    with pytest.raises(RunError, match="not 3"), computed_by("e3j"):
        energy(rest)(three)


def test_an_unknown_backend_is_refused():
    with pytest.raises(RunError, match="auto, chunks, plain, e3j"), computed_by("fast"):
        pass
