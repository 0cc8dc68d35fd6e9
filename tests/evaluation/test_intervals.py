import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from compbench_jax.errors import RunError
from compbench_jax.evaluation.intervals import Estimate, compare_sets, difference, measure, paired_difference, ratio

PROGRAM = importlib.util.spec_from_file_location("trials", Path(__file__).parents[2] / "benchmarks" / "coverage.py")
coverage = importlib.util.module_from_spec(PROGRAM)
PROGRAM.loader.exec_module(coverage)


def mean_metrics(sums):
    """Two columns, a sum and a count; a mean, its root, and a 'cosine' that is the same mean."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[..., 0] / sums[..., 1]
    return {"mae": mean, "cosine": mean, "rmse": np.sqrt(mean)}


def sums_of(values, counts=None):
    values = np.asarray(values, float)
    counts = np.ones_like(values) if counts is None else np.asarray(counts, float)
    return np.stack([values * counts, counts], axis=-1)


def compared(id_values, ood_values, **more):
    return compare_sets(sums_of(id_values), sums_of(ood_values), mean_metrics, **more)


def width(estimate):
    return estimate.high - estimate.low


def test_the_spread_of_a_mean_is_that_of_the_t_test():
    values = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    error, df, share = measure(sums_of(values), mean_metrics, {}, "ood").standard_error("mae")
    assert error == pytest.approx(stats.sem(values))
    assert (df, share) == (4, 0)


def test_a_difference_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a = rng.uniform(1, 2, 6)
    b = a + rng.normal(0.1, 0.1, 6)
    found = paired_difference(compared(a, a), compared(b, b)).ood
    expected = stats.ttest_rel(b, a)
    interval = expected.confidence_interval()
    estimate = found.estimate("mae")
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))
    assert found.p("mae") == pytest.approx(expected.pvalue)


def test_the_p_value_and_the_interval_always_say_the_same():
    rng = np.random.default_rng(1)
    said = []
    for _ in range(60):
        a, b = (rng.lognormal(shift, 0.5, (2, 6)) for shift in (0, 0.4))
        for item in (lambda sets: sets.id, lambda sets: sets.ratio):
            found = item(paired_difference(compared(a, a[:, ::-1]), compared(b, 2 * b)))
            estimate = found.estimate("rmse")
            said.append(found.differs("rmse"))
            assert said[-1] == (not estimate.low <= 0 <= estimate.high)
    assert 5 < sum(said) < 115


def test_influences_are_exact_for_a_ratio_of_sums():
    rng = np.random.default_rng(3)
    sums = sums_of(rng.uniform(1, 2, 7), rng.integers(1, 9, 7))
    found = measure(sums, mean_metrics, {}, "ood")
    assert found.values["mae"] == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum())
    without = [np.delete(sums, k, axis=0).sum(axis=0) for k in range(7)]
    jackknife = np.array([total[0] / total[1] for total in without])
    assert found.standard_error("mae")[0] == pytest.approx(np.sqrt(6 * jackknife.var()))


@pytest.mark.parametrize("kind", ["normal", "log-normal"])
@pytest.mark.parametrize(("seeds", "share"), [(1, 0.0), (2, 0.5), (2, 2.0), (3, 1.0)])
def test_coverage_of_a_nominal_95_percent(kind, seeds, share):
    """500 trials: standard error 1%, so two of them around 92 … 97. More by ``benchmarks/coverage.py``."""
    for n in (4, 12):
        assert 0.90 <= coverage.coverage(kind, n, seeds, share, 500) <= 0.985, n


@pytest.mark.parametrize("share_of", [coverage.coverage_of_ratio, coverage.coverage_of_gap])
def test_coverage_of_ratios_and_gaps(share_of):
    for kind, n, seeds in (("log-normal", 7, 1), ("normal", 5, 2), ("log-normal", 12, 3)):
        assert 0.90 <= share_of(kind, n, seeds, 1.0, 300) <= 0.995


def test_two_equal_models_are_seldom_called_different():
    for seeds in (2, 3):
        for spread in (0.0, 0.02, 0.05):
            assert coverage.called_different(seeds, spread, 400) <= 0.09  # 7% and two standard errors
    assert coverage.called_different(1, 0.05, 100) > 0.4  # why figures of one seed say "molecules only"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "log-normal"])
@pytest.mark.parametrize("n", coverage.MOLECULES)
def test_coverage_is_between_92_and_97_percent(kind, n):
    assert coverage.called_different(2, 0.02, 6000, n) <= 0.075
    for seeds in coverage.SEEDS:
        for share in coverage.SHARES if seeds > 1 else (0.0,):
            assert 0.915 <= coverage.coverage(kind, n, seeds, share, 6000) <= 0.975


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_interval_of_fewer_than_four_molecules(n):
    sets = compared(np.arange(1.0, n + 1), [2.0, 3.0, 4.0, 5.0])
    assert sets.id.estimate("mae") == Estimate((n + 1) / 2)
    assert sets.ood.estimate("mae").low is not None
    assert sets.ratio.estimate("mae").value == pytest.approx(3.5 / ((n + 1) / 2))
    assert sets.ratio.estimate("mae").low is None
    item = paired_difference(sets, compared(np.arange(2.0, n + 2), [2.0, 3.0, 4.0, 6.0])).id
    assert item.p("mae") is None
    assert not item.differs("mae")


def test_frames_of_one_molecule_do_not_narrow_the_interval():
    few = measure(sums_of([1.0, 2, 3, 4]), mean_metrics, {}, "ood")
    many = measure(sums_of([1.0, 2, 3, 4], [1000] * 4), mean_metrics, {}, "ood")
    assert many.estimate("mae") == few.estimate("mae")


def test_ratio_is_of_errors_and_holds_the_spread_of_both_sides():
    rng = np.random.default_rng(5)
    id_values, ood_values = rng.normal(0.1, 0.02, 30), rng.normal(0.3, 0.06, 30)
    sets = compared(id_values, ood_values, scores={"cosine": -1.0})
    assert sets.ratio.values["mae"] == pytest.approx(ood_values.mean() / id_values.mean())
    assert sets.ratio.values["cosine"] == pytest.approx((1 - ood_values.mean()) / (1 - id_values.mean()))
    relative = np.sqrt(sum((stats.sem(v) / v.mean()) ** 2 for v in (id_values, ood_values)))
    estimate = sets.ratio.estimate("mae")
    assert width(estimate) == pytest.approx(2 * 2.0 * relative * estimate.value, rel=0.02)


def test_scores_stay_between_their_ends():
    item = measure(sums_of([0.0, 0.1, 0.0, 1.0]), mean_metrics, {"cosine": 0.0}, "ood")
    estimate = item.estimate("cosine")
    assert 0 == estimate.low < estimate.value < estimate.high <= 1
    perfect = measure(sums_of([1.0, 1.0, 1.0, 1.0]), mean_metrics, {"cosine": 0.0}, "ood").estimate("cosine")
    assert (perfect.low, perfect.value, perfect.high) == (1, 1, 1)


def test_undefined_values_have_none():
    nothing = compared([np.nan] * 5, [1.0, 2.0, 3.0, 4.0])
    assert nothing.id.estimate("mae") == Estimate(None)
    assert nothing.ratio.estimate("mae") == Estimate(None)
    # All counted atoms are of one molecule: without it there is nothing.
    alone = compare_sets(sums_of([3.0, 0, 0, 0], [4, 0, 0, 0]), sums_of([1.0, 2, 3, 4]), mean_metrics)
    assert alone.id.estimate("mae") == Estimate(3.0)
    zero = measure(sums_of([0.0] * 4), mean_metrics, {}, "ood")
    with np.errstate(invalid="ignore"):
        assert ratio(zero, zero).estimate("mae").value is None
    assert zero.estimate("mae") == Estimate(0.0, 0.0, 0.0)


def test_seeds_widen_the_interval_and_cancel_in_the_ratio():
    runs = np.array([1.0, 1.2, 0.9, 1.1]) * np.array([[0.5], [1.0], [1.5]])
    one, three = compared(runs[1], runs[1] + 1), compared(runs, runs * 2)
    assert three.id.values["mae"] == pytest.approx(1.05)
    assert width(three.id.estimate("mae")) > 2 * width(one.id.estimate("mae"))
    assert three.ratio.standard_error("mae")[2] == pytest.approx(0, abs=1e-9)


def test_equal_runs_change_little_and_add_no_molecules():
    values = np.array([1.0, 2.0, 4.0, 3.0])
    one, two = compared(values, values), compared([values] * 2, [values] * 2)
    assert two.id.estimate("mae") == one.id.estimate("mae")


def test_two_seeds_never_have_the_freedom_of_many_molecules():
    values = np.linspace(1, 2, 40)
    assert measure(sums_of([values] * 2), mean_metrics, {}, "ood").standard_error("mae")[1] == 6
    assert measure(sums_of([values]), mean_metrics, {}, "ood").standard_error("mae")[1] == 39


def test_paired_difference_cancels_what_both_models_share():
    difficulty = np.random.default_rng(8).uniform(1, 10, 20)
    a, b = compared(difficulty, difficulty), compared(difficulty + 0.1, 1.2 * difficulty)
    found = paired_difference(a, b)
    estimate = found.id.estimate("mae")
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.1, 0.1, 0.1))
    assert width(a.id.estimate("mae")) > 1
    assert found.ood.estimate("mae").value == pytest.approx(0.2 * difficulty.mean())
    assert found.ratio.estimate("mae").value > 0
    assert difference(a.id, a.id).p("mae") == 1


def test_seeds_of_two_models_are_independent():
    runs = np.array([1.0, 2.0, 3.0, 2.5]) + np.array([[-0.2], [0.2]])
    same = paired_difference(compared(runs, runs), compared(runs, runs)).id
    error, df, share = same.standard_error("mae")
    assert error == pytest.approx(np.sqrt(2 * 0.2**2))
    assert (df, share) == (pytest.approx(2), pytest.approx(1))


def test_runs_on_other_molecules_cannot_be_paired():
    a, b = compared([1.0, 2.0], [1.0, 2.0]), compared([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(RunError, match="2 and 3 OOD molecules"):
        paired_difference(a, b)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(0.01, 100), min_size=5, max_size=5), min_size=1, max_size=3), st.floats(0.1, 10))
def test_interval_is_ordered_positive_and_scales(values, factor):
    found, scaled = (
        measure(sums_of(np.array(values) * k), mean_metrics, {}, "ood").estimate("mae") for k in (1, factor)
    )
    assert 0 <= found.low <= found.value <= found.high
    assert (scaled.low, scaled.high) == pytest.approx((factor * found.low, factor * found.high))
