import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.splits.divergence import (
    chernoff_coefficient,
    divergence,
    environment_masses,
    radius_profile,
)


def test_chernoff_coefficient_by_hand():
    train, ood = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    # √(0.5·0.25) + √(0.5·0.5) + 0
    assert chernoff_coefficient(train, ood, 0.5) == pytest.approx(0.8535533906)
    # train carries the small exponent: 0.5^0.1·0.25^0.9 + 0.5^0.1·0.5^0.9 = 2^-1.9 + 2^-1
    assert chernoff_coefficient(train, ood, 0.1) == pytest.approx(0.7679433656)
    # the other way round: 0.25^0.1·0.5^0.9 + 0.5 = 2^-1.1 + 2^-1
    assert chernoff_coefficient(ood, train, 0.1) == pytest.approx(0.9665164958)


def test_toy_split_by_hand(make_graph):
    # Train masses: environment 1 has (2/4 + 1/4) / 2 = 3/8, environment 2 has 5/8.
    # OOD masses: 1/4, 1/4, and 1/2 for environment 3, which is novel.
    train = [make_graph("a", [1, 1, 2, 2]), make_graph("b", [1, 2, 2, 2])]
    ood = [make_graph("c", [1, 2, 3, 3])]
    for row in radius_profile(train, ood, draws=0):
        # 1 − √(3/32) − √(5/32)
        assert row.atom_divergence == pytest.approx(0.2985290746)
        # 1 − (3/8)^0.1·(1/4)^0.9 − (5/8)^0.1·(1/4)^0.9
        assert row.compound_divergence == pytest.approx(0.4656655074)
        assert row.novel_mass == 0.5
        assert row.z_score is row.random_mean is row.random_std is None


def test_each_molecule_weighs_the_same(make_graph):
    small, large = make_graph("a", [1, 2]), make_graph("b", [3] * 30)
    identifiers, masses = environment_masses([small, large], 0)
    assert identifiers.tolist() == [1, 2, 3]
    assert masses.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


def test_each_radius_uses_its_own_environments(make_graph):
    train = [make_graph("a", [[1, 1], [2, 2], [3, 4], [5, 6], [7, 8]])]
    ood = [make_graph("b", [[1, 1], [2, 9], [4, 4], [10, 11], [7, 8]])]
    assert [row.novel_mass for row in radius_profile(train, ood, draws=0)] == [0.0, 0.5, 0.0, 1.0, 0.0]
    assert [row.compound_divergence for row in radius_profile(train, ood, draws=0)][3] == 1.0


masses = st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any).map(np.array)


@given(masses, masses, st.sampled_from([0.1, 0.5]))
def test_divergence_is_zero_for_equal_and_one_for_disjoint(p, q, alpha):
    value = divergence(p, q, alpha)
    assert 0 <= value <= 1
    assert divergence(p, p, alpha) == pytest.approx(0, abs=1e-12)
    assert (value == 1) == (not np.any((p > 0) & (q > 0)))
    assert divergence(3 * p, q, alpha) == pytest.approx(value)


def test_z_score_compares_with_random_splits_of_the_same_sizes(make_graph):
    train = [make_graph(f"a{i}", [1, 1, 2]) for i in range(5)]
    ood = [make_graph(f"b{i}", [2, 3, 3]) for i in range(3)]
    row = radius_profile(train, ood, draws=400, seed=1)[2]

    rng = np.random.default_rng(7)
    together = [*train, *ood]
    values = []
    for _ in range(400):
        order = rng.permutation(8)
        sides = [[together[i] for i in order[:5]], [together[i] for i in order[5:]]]
        values.append(radius_profile(*sides, draws=0)[2].compound_divergence)
    assert row.random_mean == pytest.approx(np.mean(values), abs=0.02)
    assert row.random_std == pytest.approx(np.std(values, ddof=1), abs=0.02)
    assert row.z_score == pytest.approx((row.compound_divergence - row.random_mean) / row.random_std)
    assert row.z_score > 2
    assert radius_profile(train, ood, draws=400, seed=1)[2] == row
    assert radius_profile(train, ood, draws=400, seed=2)[2] != row


def test_no_z_score_where_all_random_splits_are_alike(make_graph):
    graphs = [make_graph(f"a{i}", [1, 2]) for i in range(4)]
    row = radius_profile(graphs[:2], graphs[2:], draws=10)[0]
    assert row.random_mean == pytest.approx(0, abs=1e-12)
    assert row.z_score is None
