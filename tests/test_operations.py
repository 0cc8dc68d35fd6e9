"""``benchmarks/operations.py`` on programs whose costs are known."""

import dataclasses
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from compbench_jax.models.potential import Potential
from compbench_jax.models.schnet import SchNetConfig

ROOT = Path(__file__).parents[1]


@pytest.fixture
def operations(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import operations

    return operations


def test_loops_count_as_often_as_they_run_and_rows_as_they_are(operations):
    def program(a, b, table, rows):
        with jax.named_scope("Network"):
            with jax.named_scope("dense_0"):
                y = a @ b
            with jax.named_scope("dense_1"):
                z = jnp.tanh(y) @ b
            with jax.named_scope("loop"):
                total, _ = jax.lax.scan(lambda x, _: (x * x, None), z, length=50)
            with jax.named_scope("table"):
                return total, jnp.sort(table[rows], axis=0)

    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((64, 32), (32, 32), (100_000, 4))]
    rows = jax.ShapeDtypeStruct((7,), jnp.int32)
    parts = operations.by_part(jax.jit(program).lower(*shapes, rows).compile().as_text(), Counter())
    assert parts["dense"].multiplications == 2 * 64 * 32 * 32 + 64 * 32  # two products and the tanh
    assert parts["loop"].multiplications == 50 * 64 * 32
    assert parts["loop"].bytes == pytest.approx(50 * 2 * 4 * 64 * 32, rel=0.1)
    assert 0 < parts["table"].bytes < 10_000
    assert parts["table"].multiplications == 0


def test_parts_of_paths(operations):
    path = "jit(step)/transpose(jvp(transpose(jvp(PaiNN))))/interaction_1/convolution/cond/branch_0_fun/while/body/mul"
    assert operations.part_of(path) == "interaction/convolution"
    assert operations.part_of("jit(step)/jvp(jvp(SchNet))/interaction_1/filter_0/dot_general") == "interaction/filter"
    assert operations.part_of("jit(step)/jvp(jvp(SchNet))/pairs/jit(argsort)/sort") == "pairs"
    assert operations.part_of("jit(step)/jvp(NequIP)/layer_1/linear_out_2e/dot_general") == "layer/linear_out"
    assert operations.part_of("jit(step)/jvp(DimeNet)/interaction_1/nlab,nblc->nac/dot_general") == "interaction/einsum"
    assert operations.part_of("jit(step)/adam/mul") == "outside the network"
    assert operations.part_of("") == "copies"


def test_parts_of_a_small_potential(operations, monkeypatch):
    config = SchNetConfig(features=8, interactions=2, n_basis=5)
    monkeypatch.setitem(operations.PRESETS, "tiny", config)
    monkeypatch.setattr(Potential, "for_inference", lambda _, params: params)  # the networks, not their tables
    arguments = operations.Arguments("tiny", batch_size=2, steps=2, structures=8, forces=True)
    text, times = operations.measure(arguments)
    parts = operations.by_part(text, times)
    shape = operations.work_of(config, operations.alkane_frames(8), 2).batches[0].senders.shape
    pairs = shape[0] // 2 + 1
    # Both layers of the filter network, forwards and backwards, and the product with the cutoff and its derivative.
    dense = 2 * 2 * pairs * (5 * 8 + 8 * 8)
    assert dense <= parts["interaction/filter"].multiplications <= 1.1 * dense
    assert sum(part.seconds for part in parts.values()) == pytest.approx(sum(times.values()))
    assert parts["interaction/convolution"].seconds > 0 and parts["interaction/convolution"].bytes > 0
    assert "interaction/filter" in operations.table(parts, 30)
    trained = dataclasses.replace(arguments, forces=False)
    more = operations.by_part(*operations.measure(trained))["interaction/filter"].multiplications
    assert 2 * dense < more < 4 * dense  # values, forces, and the derivatives of both by the parameters
