import json

import numpy as np
import pytest

from compbench_jax.evaluation.blocks import estimate_of, section
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.json_text import plain, to_json


def refuse_constants(text):
    raise AssertionError(f"{text} is not JSON")


def test_a_section_has_every_metric_with_interval_and_counts():
    block = section(
        {"force_mae": Estimate(0.1, 0.05, 0.2)}, {"n_molecules": 2, "n_frames": 7, "n_atoms": 30, "skipped_atoms": 1}
    )
    assert block == {
        "force_mae": {"value": 0.1, "low": 0.05, "high": 0.2, "n_molecules": 2, "n_frames": 7, "n_atoms": 30},
        "n_molecules": 2,
        "n_frames": 7,
        "n_atoms": 30,
        "skipped_atoms": 1,
    }
    assert estimate_of(block, "force_mae") == Estimate(0.1, 0.05, 0.2)
    assert estimate_of(block, "no such metric") == Estimate(None)


def test_nan_and_infinity_become_null_wherever_they_are():
    value = {"a": float("nan"), "b": [np.float32(np.inf), np.int64(3)], "c": np.array([1.5, np.nan]), "d": (True, None)}
    assert plain(value) == {"a": None, "b": [None, 3], "c": [1.5, None], "d": [True, None]}
    text = to_json(value)
    assert json.loads(text, parse_constant=refuse_constants) == plain(value)


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})
