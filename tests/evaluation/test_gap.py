import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.evaluation.gap import compositional_gap


def mean_metrics(sums):
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums[..., 0] / sums[..., 1]
    return {"mae": mean, "cosine": mean}


def sums_of(values):
    values = np.asarray(values, float)
    return np.stack([values, np.ones_like(values)], axis=-1)


def test_the_gap_is_the_difference_to_the_control_in_units_of_the_oracle():
    gap = compositional_gap(
        sums_of([[6.0, 8.0]]), [sums_of([4.0, 4.0, 4.0])], sums_of([[1.0, 3.0]]), mean_metrics, frozenset({"cosine"})
    )
    assert gap.gap.values["mae"] == pytest.approx((7 - 4) / 2)
    assert gap.gap.values["cosine"] == pytest.approx(((1 - 7) - (1 - 4)) / (1 - 2))
    assert [item.values["mae"] for item in (gap.task, gap.control, gap.oracle)] == [7, 4, 2]
    assert gap.unseen.values == pytest.approx({"mae": 7 / 2, "cosine": (1 - 7) / (1 - 2)})


def test_hard_molecules_are_hard_for_the_oracle_too_and_cancel():
    hardness = np.random.default_rng(0).lognormal(0, 0.7, 12)
    gap = compositional_gap(sums_of([3 * hardness]), [sums_of(np.full(12, 1e-9))], sums_of([hardness]), mean_metrics)
    for item in (gap.gap, gap.unseen):
        found = item.estimate("mae")
        assert (found.low, found.value, found.high) == pytest.approx((3, 3, 3))


def test_runs_and_deals_are_averaged_and_deals_may_have_other_molecules():
    controls = [sums_of([1.0, 1.0]), sums_of([3.0, 3.0, 3.0])]
    gap = compositional_gap(sums_of([[4.0, 4.0], [6.0, 6.0]]), controls, sums_of([[1.0, 1.0]]), mean_metrics)
    assert gap.gap.values["mae"] == pytest.approx(5 - 2)
    estimate = gap.gap.estimate("mae")
    # Molecules are alike: what is left is which runs and deals are drawn, 4 … 6 less 1 … 3.
    assert (estimate.low, estimate.high) == pytest.approx((1, 5))


def test_the_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        hard = rng.normal(1, 0.2, 30)
        task, oracle = 3 * hard + rng.normal(0, 0.1, 30), hard + rng.normal(0, 0.05, 30)
        control = sums_of(2 * rng.normal(1, 0.2, 30))
        found = compositional_gap(
            sums_of([task]), [control], sums_of([oracle]), mean_metrics, samples=300, seed=trial
        ).gap.estimate("mae")
        covered += found.low <= 1 <= found.high
    assert 0.89 <= covered / 200 <= 0.99


def test_a_single_molecule_has_no_interval_and_other_molecules_are_refused():
    gap = compositional_gap(sums_of([[2.0]]), [sums_of([1.0, 1.5])], sums_of([[1.0]]), mean_metrics)
    assert gap.gap.estimate("mae").low is None
    with pytest.raises(RunError, match="2 and 1 OOD molecules"):
        compositional_gap(sums_of([[2.0, 1.0]]), [sums_of([1.0])], sums_of([[1.0]]), mean_metrics)
