import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.evaluation.gap import Control, compositional_gap


def mean_metrics(sums):
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[..., 0] / sums[..., 1]
    return {"mae": mean, "cosine": mean}


def sums_of(values):
    values = np.asarray(values, float)
    return np.stack([values, np.ones_like(values)], axis=-1)


def control(values, first=0):
    return Control([f"KEY-{first + k}" for k in range(len(values))], sums_of(values))


def width(estimate):
    return estimate.high - estimate.low


def test_the_gap_is_the_difference_to_the_control_in_units_of_the_oracle():
    gap = compositional_gap(
        sums_of([[6.0, 8.0]]), [control([4.0, 4.0, 4.0])], sums_of([[1.0, 3.0]]), mean_metrics, {"cosine": -1.0}
    )
    assert gap.gap.values["mae"] == pytest.approx((7 - 4) / 2)
    assert gap.gap.values["cosine"] == pytest.approx(((1 - 7) - (1 - 4)) / (1 - 2))
    assert [item.values["mae"] for item in (gap.task, gap.control, gap.oracle)] == [7, 4, 2]
    assert gap.unseen.values == pytest.approx({"mae": 7 / 2, "cosine": (1 - 7) / (1 - 2)})


def test_hard_molecules_are_hard_for_the_oracle_too_and_cancel():
    difficulty = np.random.default_rng(0).lognormal(0, 0.7, 12)
    gap = compositional_gap(
        sums_of([3 * difficulty]), [control(np.full(12, 1e-9))], sums_of([difficulty]), mean_metrics
    )
    for item in (gap.gap, gap.unseen):
        found = item.estimate("mae")
        assert (found.low, found.value, found.high) == pytest.approx((3, 3, 3))


def test_runs_and_random_splits_are_averaged_and_splits_may_have_other_molecules():
    controls = [control([1.0, 1.0]), control([3.0, 3.0, 3.0], 1)]
    gap = compositional_gap(sums_of([[4.0, 4.0], [6.0, 6.0]]), controls, sums_of([[1.0, 1.0]]), mean_metrics)
    assert gap.gap.values["mae"] == pytest.approx(5 - 2)


def test_copies_of_a_control_are_no_new_molecules():
    """The intervals of five copies on one split are as wide as of one; other splits bring other molecules."""
    rng = np.random.default_rng(1)
    task, oracle = (sums_of([k * rng.lognormal(0, 0.6, 12)]) for k in (2.0, 1.0))
    one = control(1.2 * rng.lognormal(0, 0.6, 12))
    alone, five = (
        compositional_gap(np.repeat(task, n, 0), [one] * n, np.repeat(oracle, n, 0), mean_metrics) for n in (1, 5)
    )
    for part in ("control", "gap", "unseen"):
        of_one, of_five = (width(getattr(gap, part).estimate("mae")) for gap in (alone, five))
        assert of_five == pytest.approx(of_one, rel=0.02)
    others = [control(np.roll(one.sums[:, 0], k), 12 * k) for k in range(5)]
    many = compositional_gap(task, others, oracle, mean_metrics)
    assert many.control.standard_error("mae")[0] == pytest.approx(
        alone.control.standard_error("mae")[0] / np.sqrt(5), rel=0.01
    )


def test_few_molecules_have_no_interval_and_other_molecules_are_refused():
    four = sums_of([[2.0, 1.0, 3.0, 2.0]])
    assert compositional_gap(four, [control([1.0, 1.5, 2.0])], four, mean_metrics).gap.estimate("mae").low is None
    assert compositional_gap(four, [control([1.0, 1.5, 2.0, 1.0])], four, mean_metrics).gap.estimate("mae").low < 1
    with pytest.raises(RunError, match="2 and 1 OOD molecules"):
        compositional_gap(sums_of([[2.0, 1.0]]), [control([1.0])], sums_of([[1.0]]), mean_metrics)
