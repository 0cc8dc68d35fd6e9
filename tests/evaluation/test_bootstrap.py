import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from compbench_jax.errors import RunError
from compbench_jax.evaluation.bootstrap import (
    Resampled,
    compare_sets,
    draw_counts,
    expanded_tail,
    generator,
    paired_difference,
    ratio,
    resample,
)


def mean_metrics(sums):
    """Two columns, a sum and a count; a mean and a 'cosine' that is the same mean."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[..., 0] / sums[..., 1]
    return {"mae": mean, "cosine": mean, "rmse": np.sqrt(mean)}


def sums_of(values, counts=None):
    values = np.asarray(values, float)
    counts = np.ones_like(values) if counts is None else np.asarray(counts, float)
    return np.stack([values * counts, counts], axis=-1)


def test_draws_are_molecules_with_replacement():
    counts = draw_counts(7, 400, np.random.default_rng(0))
    assert counts.shape == (400, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.max() > 1
    assert counts.min() == 0
    # Each unit occurs once a draw on average: standard error sqrt(6/7/400) = 0.046.
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.2)


def test_resampling_equals_an_explicit_loop_over_drawn_molecules():
    rng = np.random.default_rng(3)
    sums = sums_of(rng.uniform(1, 2, 5), rng.integers(1, 9, 5))
    counts = draw_counts(5, 20, rng)
    found = resample(sums, mean_metrics, counts)
    for draw in range(20):
        drawn = [m for m in range(5) for _ in range(int(counts[draw, m]))]
        total = sum(sums[m][0] for m in drawn)
        number = sum(sums[m][1] for m in drawn)
        assert found.draws["mae"][draw] == pytest.approx(total / number)
        assert found.draws["rmse"][draw] == pytest.approx(np.sqrt(total / number))
    assert found.values["mae"] == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum())


def test_interval_of_a_mean_is_close_to_the_analytic_one():
    rng = np.random.default_rng(1)
    values = rng.normal(10, 2, 200)
    sets = compare_sets(sums_of(values), sums_of(values), mean_metrics, samples=4000)
    estimate = sets.id.estimate("mae")
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


@pytest.mark.parametrize(("n", "spread"), [(60, 1.0), (12, 0.4), (7, 0.4)])
def test_interval_covers_the_truth_about_95_times_in_100(n, spread):
    rng = np.random.default_rng(2)
    trials, covered = 400, 0
    for _ in range(trials):
        values = rng.gamma(1 / spread**2, spread**2, n)  # mean 1, skewed as errors of molecules are
        found = resample(sums_of(values), mean_metrics, draw_counts(n, 400, rng)).estimate("mae")
        covered += found.low <= 1.0 <= found.high
    assert 0.91 <= covered / trials <= 0.98


def test_an_interval_of_few_molecules_takes_quantiles_further_out():
    # Of the normal distribution: sqrt(n / (n − 1)) times the t quantile.
    assert expanded_tail(7) == pytest.approx(norm.cdf(-np.sqrt(7 / 6) * 2.446912), rel=1e-4)
    assert expanded_tail(100_000) == pytest.approx(0.025, rel=1e-3)
    assert expanded_tail(2) < 1e-10


def test_frames_of_one_molecule_do_not_narrow_the_interval():
    """A thousand copies of a molecule's frames are no new molecules."""
    few = compare_sets(sums_of([1.0, 2, 3, 4]), sums_of([1.0, 2]), mean_metrics)
    many = compare_sets(sums_of([1.0, 2, 3, 4], [1000] * 4), sums_of([1.0, 2]), mean_metrics)
    assert many.id.estimate("mae") == few.id.estimate("mae")


def test_ratio_of_the_value_and_of_the_draws():
    sets = compare_sets(
        sums_of([1.0, 2.0]), sums_of([3.0, 5.0]), mean_metrics, complements=frozenset({"cosine"}), samples=50
    )
    assert sets.ratio.values["mae"] == pytest.approx(4.0 / 1.5)
    assert sets.ratio.values["cosine"] == pytest.approx((1 - 4.0) / (1 - 1.5))
    np.testing.assert_allclose(sets.ratio.draws["mae"], sets.ood.draws["mae"] / sets.id.draws["mae"])


def test_ratio_interval_holds_more_than_either_side_alone():
    rng = np.random.default_rng(5)
    id_values, ood_values = rng.normal(1, 0.2, 30), rng.normal(3, 0.6, 30)
    sets = compare_sets(sums_of(id_values), sums_of(ood_values), mean_metrics, samples=4000)
    # First order error propagation of independent sides.
    relative = np.sqrt(id_values.var() / 30 / id_values.mean() ** 2 + ood_values.var() / 30 / ood_values.mean() ** 2)
    estimate = sets.ratio.estimate("mae")
    expected = 2 * 1.96 * relative * estimate.value
    assert estimate.high - estimate.low == pytest.approx(expected, rel=0.12)


def test_id_and_ood_are_drawn_independently_and_by_seed():
    values = sums_of(np.arange(1.0, 9.0))
    sets = compare_sets(values, values, mean_metrics, samples=2000)
    assert abs(np.corrcoef(sets.id.draws["mae"], sets.ood.draws["mae"])[0, 1]) < 0.1
    again = compare_sets(values, values, mean_metrics, samples=2000)
    np.testing.assert_array_equal(sets.id.draws["mae"], again.id.draws["mae"])
    other = compare_sets(values, values, mean_metrics, samples=2000, seed=1)
    assert (sets.id.draws["mae"] != other.id.draws["mae"]).any()


def test_no_interval_from_one_molecule_on_either_side():
    sets = compare_sets(sums_of([1.0]), sums_of([2.0, 3.0]), mean_metrics)
    assert (sets.id.estimate("mae").low, sets.id.estimate("mae").high) == (None, None)
    assert sets.ood.estimate("mae").low is not None
    assert sets.ratio.estimate("mae").value == pytest.approx(2.5)
    assert sets.ratio.estimate("mae").low is None


def test_undefined_values_are_none_and_undefined_draws_are_left_out():
    nothing = compare_sets(sums_of([0.0, 0.0], [0, 0]), sums_of([1.0, 2.0]), mean_metrics)
    assert nothing.id.estimate("mae").value is None
    assert nothing.ratio.estimate("mae").value is None
    # One molecule has no counted atoms: draws of it alone are 0/0, the others all give 3.
    partly = compare_sets(sums_of([0.0, 3.0], [0, 4]), sums_of([1.0, 2.0]), mean_metrics)
    assert np.isnan(partly.id.draws["mae"]).any()
    assert partly.id.estimate("mae").low == pytest.approx(3.0)
    zero = ratio(Resampled({"mae": 1.0}, {"mae": np.ones(9)}, 3), Resampled({"mae": 0.0}, {"mae": np.zeros(9)}, 3))
    assert zero.estimate("mae").value is None


def test_runs_of_several_seeds_are_averaged_and_widen_the_interval():
    runs = np.stack([sums_of([1.0, 1.2, 0.9, 1.1]) * [[scale, 1]] for scale in (0.5, 1.0, 1.5)])
    one = compare_sets(runs[1], runs[1], mean_metrics)
    three = compare_sets(runs, runs, mean_metrics)
    assert three.id.values["mae"] == pytest.approx(1.05)
    widths = [e.high - e.low for e in (one.id.estimate("mae"), three.id.estimate("mae"))]
    assert widths[1] > 2 * widths[0]
    # The same runs are drawn on both sides, so what a seed does to both cancels in the ratio.
    np.testing.assert_allclose(three.ratio.values["mae"], 1.0)
    ratios = three.ratio.estimate("mae"), one.ratio.estimate("mae")
    assert ratios[0].high - ratios[0].low == pytest.approx(ratios[1].high - ratios[1].low, rel=0.1)


def test_equal_runs_change_nothing():
    values = sums_of([1.0, 2.0, 4.0])
    one = compare_sets(values, values, mean_metrics)
    two = compare_sets(np.stack([values] * 2), np.stack([values] * 2), mean_metrics)
    assert one.id.estimate("mae").high == pytest.approx(two.id.estimate("mae").high)


def test_several_runs_without_their_draws_are_refused():
    values = np.stack([sums_of([1.0, 2.0])] * 2)
    with pytest.raises(ValueError, match="seed_counts"):
        resample(values, mean_metrics, draw_counts(2, 5, generator(0, 0)))


def test_paired_difference_cancels_what_both_models_share():
    rng = np.random.default_rng(8)
    hardness = rng.uniform(1, 10, 20)
    a = compare_sets(sums_of(hardness), sums_of(hardness), mean_metrics)
    b = compare_sets(sums_of(hardness + 0.1), sums_of(1.2 * hardness), mean_metrics)
    difference = paired_difference(a, b)
    estimate = difference.id.estimate("mae")
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.1, 0.1, 0.1))
    unpaired = a.id.estimate("mae")
    assert unpaired.high - unpaired.low > 1
    assert difference.ood.estimate("mae").value == pytest.approx(0.2 * hardness.mean())
    assert difference.ratio.estimate("mae").value > 0


def test_runs_on_other_molecules_cannot_be_paired():
    a = compare_sets(sums_of([1.0, 2.0]), sums_of([1.0, 2.0]), mean_metrics)
    b = compare_sets(sums_of([1.0, 2.0]), sums_of([1.0, 2.0, 3.0]), mean_metrics)
    with pytest.raises(RunError, match="2 and 3 OOD molecules"):
        paired_difference(a, b)
    with pytest.raises(RunError, match="paired"):
        paired_difference(a, compare_sets(sums_of([1.0, 2]), sums_of([1.0, 2]), mean_metrics, samples=9))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=12),
    st.integers(0, 2**31),
    st.floats(0.1, 10),
)
def test_interval_is_ordered_inside_the_range_and_scales(values, seed, factor):
    sums = sums_of(values)
    found = compare_sets(sums, sums, mean_metrics, samples=50, seed=seed).id.estimate("mae")
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    scaled = compare_sets(sums * [factor, 1], sums, mean_metrics, samples=50, seed=seed).id.estimate("mae")
    assert scaled.low == pytest.approx(factor * found.low)
    assert scaled.high == pytest.approx(factor * found.high)
