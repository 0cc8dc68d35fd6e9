import itertools
import math

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
        ({"time_step": math.inf}, "time_step is inf: it must be a finite number"),
        ({"time_step": 1e9}, "spacing is 10.0 fs: not a multiple"),
        ({"equilibration": 1e-9}, "equilibration is 1e-09 fs: not a multiple"),
        ({"friction": math.nan}, "friction is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"spacing": math.inf}, "spacing is inf"),
        ({"scf_looseness": -1.0}, "scf_looseness is -1.0"),
        ({"equilibration": -10.0}, "equilibration is -10.0"),
        ({"seed": -1}, "seed is -1"),
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


def test_settings_of_the_command_line():
    from pathlib import Path

    from compbench_jax.cli.generate import Arguments, resolve_settings

    def resolved(**settings):
        return resolve_settings(Arguments(Path("x"), settings=settings))

    assert resolved(half_step_temperature="False").half_step_temperature is False
    assert resolved(half_step_temperature="true", seed="3").half_step_temperature is True
    for settings, message in (
        ({"half_step_temperature": "maybe"}, "must be True or False"),
        ({"time_step": "inf"}, "time_step is inf"),
        ({"seed": "1.5"}, "must be a whole number"),
    ):
        with pytest.raises(CompBenchError, match=message):
            resolved(**settings)
