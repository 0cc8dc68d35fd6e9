"""Predictions of a trained potential for several sets of frames of a store, all of one batch shape."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.evaluation.predict import Predictions, Step, make_step, predict, shared_shape, with_shape
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.potential import Potential
from compbench_jax.models.precision import dtype_of
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun


class Predictor(Protocol):
    """What computes the predictions of an evaluation, see :func:`predict_sets`."""

    def __call__(
        self,
        run: LoadedRun,
        store: FrameStore,
        frames: Mapping[str, np.ndarray],
        settings: Settings,
        progress: Callable[[int], Any],
        /,
    ) -> dict[str, Predictions]:
        """Predictions of each set."""


def predict_sets(
    run: LoadedRun,
    store: FrameStore,
    frames: Mapping[str, np.ndarray],
    settings: Settings,
    progress: Callable[[int], Any],
) -> dict[str, Predictions]:
    """Predict sets of frames in this process.

    Args:
        run: the trained potential.
        store: where the frames are.
        frames: indices of each set into the store, int64 ``[n_frames]``.
        settings: the batch size.
        progress: called with the number of frames of every finished batch.

    Raises:
        DataError: an element that the potential does not know.
    """
    sets = datasets_of(run, store, list(frames.values()), settings)
    step = step_of(run.potential)
    return {
        name: predict(step, run.fast_params, dataset, progress=progress)
        for name, dataset in zip(frames, sets, strict=True)
    }


@lru_cache(maxsize=1)
def step_of(potential: Potential) -> Step:
    """:func:`make_step`, and the same step for the same potential: it is traced once."""
    return make_step(potential)


def datasets_of(
    run: LoadedRun, store: FrameStore, indices: Sequence[np.ndarray], settings: Settings
) -> list[GraphDataset]:
    """The sets as the potential wants them, all of one batch shape."""
    normalisation = run.potential.normalisation
    sets = [
        GraphDataset.build(
            store.gather(item),
            elements=normalisation.elements,
            reference_energies=normalisation.reference_energies,
            cutoff=run.potential.cutoff,
            batch_size=settings.batch_size,
            triplets=run.potential.triplets,
            graphs=store.graphs if run.potential.needs_bonds else None,
            dtype=dtype_of(run.potential.precision),
        )
        for item in indices
    ]
    return with_shape(sets, shared_shape(sets))
