"""Which total energies compositions allow to be known, against sums done by hand."""

import pytest

from compbench_jax.splits.composition import composition, identifiable


def molecule(make_graph, name, **counts):
    numbers = [z for symbol, z in (("C", 6), ("H", 1), ("O", 8), ("N", 7)) for _ in range(counts.get(symbol, 0))]
    return make_graph(name, [1] * len(numbers), numbers=numbers)


def test_di_acids_lie_outside_what_acids_span(make_graph):
    acids = [molecule(make_graph, f"C{n}", C=n, H=2 * n, O=2) for n in (4, 5, 6)]
    asked = [
        molecule(make_graph, "malonic", C=3, H=4, O=4),  # two H less than two per C
        molecule(make_graph, "aldehyde", C=7, H=14, O=1),  # two H per C, as acids
        molecule(make_graph, "alcohol", C=5, H=12, O=1),
    ]
    found = composition(acids, asked)
    assert (found.rank, found.elements) == (2, 3)
    # The span is H = 2 C; the unit vector across it is (2, -1, 0) / √5 in (C, H, O).
    assert found.outside == pytest.approx({"malonic": 2 / 5**0.5, "aldehyde": 0.0, "alcohol": 2 / 5**0.5})
    assert found.outside["aldehyde"] == 0.0
    assert found.unidentifiable == ("malonic", "alcohol")
    assert [identifiable(acids, graph) for graph in asked] == [False, True, False]


def test_an_element_that_training_lacks_is_outside_whole(make_graph):
    train = [molecule(make_graph, "methane", C=1, H=4), molecule(make_graph, "ethane", C=2, H=6)]
    found = composition(train, [molecule(make_graph, "amine", C=1, H=5, N=3)])
    assert (found.rank, found.elements) == (2, 3)
    assert found.outside == pytest.approx({"amine": 3.0})


def test_everything_is_known_where_the_rank_is_full(make_graph):
    train = [molecule(make_graph, "methane", C=1, H=4), molecule(make_graph, "ethane", C=2, H=6)]
    found = composition(train, [molecule(make_graph, "tridecane", C=13, H=28)])
    assert (found.rank, found.elements, found.unidentifiable) == (2, 2, ())
    one = composition(train[:1], [molecule(make_graph, "double", C=2, H=8)])
    assert one.rank == 1 and one.unidentifiable == ()
