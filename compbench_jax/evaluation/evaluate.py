"""Evaluation of a trained potential on a split: every metric of the benchmark, ID, OOD and their ratio."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.evaluation.assemble import assemble, missing_frames
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.model_under_test import ModelUnderTest, model_under_test
from compbench_jax.evaluation.predict import Predictions
from compbench_jax.evaluation.result_file import FILE, write_result
from compbench_jax.evaluation.score import Score, score
from compbench_jax.evaluation.sets import Predictor, predict_sets
from compbench_jax.evaluation.settings import Settings
from compbench_jax.evaluation.showcase import FILE as SHOWCASE_FILE
from compbench_jax.evaluation.showcase import showcase, write_showcase
from compbench_jax.files import array_bytes, save
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun

PREDICTIONS = "predictions"
TEST_PARTS = {"id": "id_test", "ood": "ood_test"}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results and the predictions they were computed from.

    Attributes:
        results: contents of ``results.json`` and all that follows from them.
        predictions: of ``"id"`` and ``"ood"``.
        frames: indices of the predicted frames into the store, int64, likewise.
        showcase: contents of ``showcase.json``.
    """

    results: Derived
    predictions: dict[str, Predictions]
    frames: dict[str, np.ndarray]
    showcase: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write ``predictions/``, ``showcase.json`` and, last, ``results.json``.

        Raises:
            RunError: a file could not be written.
        """
        self.save_predictions(folder / PREDICTIONS)
        write_showcase(folder / SHOWCASE_FILE, self.showcase)
        write_result(folder / FILE, self.results.result)

    def save_predictions(self, folder: str | Path) -> None:
        """Write ``{id,ood}_{energy,forces,frames}.npy``: total energies eV float64, forces eV/Å float32,
        store indices.

        Raises:
            RunError: a file could not be written.
        """
        for part, predictions in self.predictions.items():
            arrays = {"energy": predictions.energy, "forces": predictions.forces, "frames": self.frames[part]}
            for name, array in arrays.items():
                save(Path(folder) / f"{part}_{name}.npy", array_bytes(array))


def fit_sample(store: FrameStore, train: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Train frames for the per-element fit: at most ``most`` (but one per molecule), as many of each molecule,
    int64 ascending.
    """
    owners = store.molecule[train]
    molecules = np.unique(owners)
    if len(train) <= most:
        return np.sort(train)
    rng = np.random.default_rng([seed, len(train)])
    each = max(1, most // len(molecules))
    chosen = [rng.permutation(train[owners == molecule])[:each] for molecule in molecules]
    return np.sort(np.concatenate(chosen))


def test_sample(store: FrameStore, frames: np.ndarray, most: int | None) -> np.ndarray:
    """Test frames to evaluate: all, or at most ``most`` (but one per molecule), as many of each molecule and
    evenly over its own, int64 ascending.
    """
    if most is None or len(frames) <= most:
        return np.asarray(frames, np.int64)
    owners = store.molecule[frames]
    each = max(1, most // len(np.unique(owners)))
    chosen = []
    for molecule in np.unique(owners):
        own = frames[owners == molecule]
        chosen.append(own[np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int)])
    return np.sort(np.concatenate(chosen))


test_sample.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def chosen_frames(store: FrameStore, split: Split, settings: Settings) -> dict[str, np.ndarray]:
    """Frames to predict: of the test sets ``"id"`` and ``"ood"``, and the training frames of ``"fit"``."""
    return {
        "id": test_sample(store, split.id_test, settings.max_frames),
        "ood": test_sample(store, split.ood_test, settings.max_frames),
        "fit": fit_sample(store, split.train, settings.fit_frames, settings.seed),
    }


def evaluate(
    run: LoadedRun,
    store: FrameStore,
    split: Split,
    settings: Settings | None = None,
    progress: Callable[[int, int], Any] | None = None,
    predictor: Predictor = predict_sets,
) -> Evaluation:
    """Predict both test sets of a split and score them.

    Args:
        run: the trained potential.
        store: where the frames are.
        split: which frames test; training frames serve the per-element fit of the energy errors, and say which
            environments are seen.
        settings: samples and batches.
        progress: called with the number of frames done, and of frames in all.
        predictor: what predicts: this process, or several (:mod:`compbench_jax.evaluation.parallel`).

    Raises:
        DataError: an element that the potential does not know.
        RunError: no prediction of a set is finite.
    """
    settings = settings or Settings()
    indices = chosen_frames(store, split, settings)
    total, done = sum(len(item) for item in indices.values()), 0

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        if progress is not None:
            progress(done, total)

    predictions = predictor(run, store, indices, settings, advance)
    found = score(store, indices, predictions)
    return evaluation_of(found, model_under_test(run), store, split, indices, predictions, settings.seed)


def evaluation_of(
    found: Score,
    tested: ModelUnderTest,
    store: FrameStore,
    split: Split,
    indices: Mapping[str, np.ndarray],
    predictions: Mapping[str, Predictions],
    seed: int,
    reasons: Mapping[int, str] | None = None,
) -> Evaluation:
    """The evaluation that scored predictions are, whatever made them.

    Args:
        found: their errors.
        tested: the model under test.
        store: where the frames are.
        split: of the task.
        indices: frames of ``"id"``, ``"ood"`` and ``"fit"``.
        predictions: of these frames, NaN where there is none.
        seed: of the points that a report shows.
        reasons: why a frame has no prediction, by its index.
    """
    partial = missing_frames(store, indices, found.good, reasons or {})
    if partial:
        tested = replace(tested, more={**tested.more, "partial": partial})
    kept = {part: np.asarray(indices[part][found.good[part]], np.int64) for part in TEST_PARTS}
    predicted = {part: predictions[part].select(store.gather(indices[part]), found.good[part]) for part in TEST_PARTS}
    evaluated = replace(split, id_test=kept["id"], ood_test=kept["ood"])
    result = assemble(tested, store, evaluated, found.tests, found.fit_frames)
    return Evaluation(Derived(result), predicted, kept, showcase(store, kept, predicted, seed))
