import itertools

import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.dynamics import segment_seeds
from compbench_jax.labelling.settings import PRESETS, SamplingSettings

SIZES = {"mini": (40, 30, 10), "standard": (300, 150, 30), "paper": (2013, 500, 100)}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_their_published_sizes(preset):
    settings = PRESETS[preset]
    primary, secondary, tuning = SIZES[preset]
    assert sum(settings.segments("primary")) == primary
    assert sum(settings.segments("secondary")) == secondary
    assert settings.tuning_frames == tuning
    assert settings.spacing >= 10.0


@pytest.mark.parametrize("preset", PRESETS)
def test_tuning_frames_are_whole_segments(preset):
    ends = list(itertools.accumulate(PRESETS[preset].segments("secondary")))
    assert PRESETS[preset].tuning_frames in ends


def test_single_trajectories():
    settings = PRESETS["paper"].with_segments(1)
    assert settings.segments("primary") == [2013] and settings.segments("secondary") == [500]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spacing": 5.0}, "near copies"),
        ({"spacing": 10.3}, "multiple of the time step"),
        ({"temperature": 0.0}, "temperature is 0.0: it must be positive"),
        ({"tuning_frames": 150}, "leaves none"),
        ({"primary_segments": 301}, "more segments than frames"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(CompBenchError, match=message):
        SamplingSettings(**change)


def test_seeds_are_all_different_between_sets_segments_and_attempts():
    states = {
        tuple(segment_seeds(2605, key, set, segment, attempt).generate_state(4))
        for key in ("OTMSDBZUPAUEDD-UHFFFAOYSA-N", "VLKZOEOYAKHREP-UHFFFAOYSA-N")
        for set in ("primary", "secondary")
        for segment in range(10)
        for attempt in range(5)
    }
    assert len(states) == 2 * 2 * 10 * 5
