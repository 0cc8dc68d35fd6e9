import json

import numpy as np
import pytest

from compbench_jax.errors import RunError
from compbench_jax.report.curves import Curve, match, read_curve


def curve(*points):
    steps, ids, oods = zip(*points, strict=True)
    return Curve(np.array(steps), np.array(ids, float), np.array(oods, float))


def line(step, id, ood):
    return json.dumps({"event": "validation", "step": step, "monitor_id_force_mae": id, "monitor_ood_force_mae": ood})


def ood(matched):
    return tuple(crossing.ood for crossing in matched.crossings)


def test_ood_error_is_read_at_the_lowest_id_error_that_all_reach():
    fast = curve((0, 0.4, 0.5), (100, 0.2, 0.4), (200, 0.1, 0.35))
    slow = curve((0, 0.4, 0.6), (100, 0.3, 0.5), (300, 0.15, 0.3))
    matched = match([fast, slow])
    assert matched.id == pytest.approx(0.15)
    assert ood(matched) == pytest.approx((0.375, 0.3))
    assert tuple(crossing.step for crossing in matched.crossings) == pytest.approx((150, 300))


def test_the_first_crossing_counts_where_a_curve_rises_again():
    noisy = curve((0, 0.4, 0.8), (10, 0.2, 0.5), (20, 0.3, 0.9), (30, 0.1, 0.4))
    other = curve((0, 0.5, 0.7), (10, 0.25, 0.6))
    matched = match([noisy, other])
    assert matched.id == pytest.approx(0.25)
    assert ood(matched) == pytest.approx((0.5 + 0.25 * 0.3, 0.6))


def test_curves_that_share_no_id_error_do_not_match():
    good, bad = curve((0, 0.1, 0.2), (1, 0.05, 0.1)), curve((0, 0.9, 1.0), (1, 0.5, 0.6))
    assert match([good, bad]) is None


def test_a_curve_that_begins_below_is_left_out():
    first, second = curve((0, 0.4, 0.8), (10, 0.2, 0.5)), curve((0, 0.5, 0.7), (10, 0.1, 0.6))
    below = curve((0, 0.15, 0.3), (10, 0.05, 0.1))
    matched = match([below, first, second])
    assert matched.id == pytest.approx(0.2) and matched.crossings[0] is None
    assert matched.crossings[1:] == match([first, second]).crossings


def test_identical_curves_match_at_their_minimum():
    same = curve((0, 0.3, 0.6), (5, 0.2, 0.5))
    assert ood(match([same, same])) == pytest.approx((0.5, 0.5))


def test_log_with_other_lines_repeated_steps_and_a_torn_end(tmp_path):
    lines = [
        json.dumps({"event": "validation", "step": 5, "loss": 1.0}),
        line(20, 0.3, 0.5),
        line(10, 0.4, 0.6),
        line(20, 0.2, 0.45),
        line(30, None, 0.4),
        json.dumps([1]),
        line(40, 0.1, 0.3)[:-7],
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    found = read_curve(tmp_path)
    np.testing.assert_array_equal(found.step, [10, 20])
    np.testing.assert_array_equal(found.id, [0.4, 0.2])
    np.testing.assert_array_equal(found.ood, [0.6, 0.45])


def test_no_log_or_no_monitored_errors_is_one_clear_line(tmp_path):
    with pytest.raises(RunError, match="cannot be read"):
        read_curve(tmp_path)
    (tmp_path / "log.jsonl").write_text(json.dumps({"event": "validation", "step": 5, "loss": 1.0}) + "\n")
    with pytest.raises(RunError, match="holds no monitor_id_force_mae"):
        read_curve(tmp_path)
