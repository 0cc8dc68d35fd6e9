"""``evaluate.py --profile``: a trace of the evaluation of a few batches."""

from itertools import islice
from pathlib import Path

import jax
import numpy as np

from compbench_jax.evaluation.evaluate import test_sample
from compbench_jax.evaluation.predict import make_step
from compbench_jax.evaluation.sets import datasets_of
from compbench_jax.evaluation.settings import Settings
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun
from compbench_jax.training.profile import TRACED, tracing

FRAMES = 1024
"""Frames that batches are made of unless ``--max-frames`` says otherwise."""


def profile(run: LoadedRun, store: FrameStore, frames: np.ndarray, settings: Settings, folder: Path) -> int:
    """Trace batches of (a sample of) these frames of a store, after one that compiles: assembled, sent and computed.

    Returns:
        number of batches traced.
    """
    (data,) = datasets_of(run, store, [test_sample(store, frames, settings.max_frames or FRAMES)], settings)
    step, params = make_step(run.potential), jax.device_put(run.params)
    plan = data.sequential()
    jax.block_until_ready(step(params, data.batch(plan[0])))
    items = list(islice(plan, TRACED))
    with tracing(folder):
        for k, item in enumerate(items):
            with jax.profiler.StepTraceAnnotation("batch", step_num=k):
                found = step(params, jax.device_put(data.batch(item)))
        jax.block_until_ready(found)
    return len(items)
