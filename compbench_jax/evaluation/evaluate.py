"""Evaluation of a trained potential on a split: every metric of the benchmark, ID, OOD and their ratio."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.batching.dataset import compositions
from compbench_jax.errors import RunError
from compbench_jax.evaluation.assemble import assemble
from compbench_jax.evaluation.breakdown import TestSet, same_molecules
from compbench_jax.evaluation.predict import Predictions
from compbench_jax.evaluation.results import FILE, array_bytes, save, write_results
from compbench_jax.evaluation.sets import Predictor, predict_sets
from compbench_jax.evaluation.settings import Settings
from compbench_jax.evaluation.showcase import FILE as SHOWCASE_FILE
from compbench_jax.evaluation.showcase import showcase, write_showcase
from compbench_jax.evaluation.subject import subject_of_run
from compbench_jax.evaluation.where import FILE as WHERE_FILE
from compbench_jax.evaluation.where import write_where
from compbench_jax.metrics.aggregate import centred_errors, complete_table, referenced_errors
from compbench_jax.metrics.sums import COLUMNS
from compbench_jax.splits.split import Split
from compbench_jax.store.frames import Frames
from compbench_jax.store.store import FrameStore
from compbench_jax.training.checkpoint import LoadedRun

PREDICTIONS = "predictions"
TEST_PARTS = {"id": "id_test", "ood": "ood_test"}
ENERGY_ERROR = COLUMNS.index("energy_error")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results (see ``docs`` and ``results.NOTES``) and the predictions they were computed from.

    Attributes:
        results: contents of ``results.json``.
        predictions: of ``"id"`` and ``"ood"``.
        frames: indices of the predicted frames into the store, int64, likewise.
        where: contents of ``where.json``.
        showcase: contents of ``showcase.json``.
    """

    results: dict[str, Any]
    predictions: dict[str, Predictions]
    frames: dict[str, np.ndarray]
    where: dict[str, Any]
    showcase: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write ``predictions/``, ``where.json``, ``showcase.json`` and, last, ``results.json``.

        Raises:
            RunError: a file could not be written.
        """
        self.save_predictions(folder / PREDICTIONS)
        write_where(folder / WHERE_FILE, self.where)
        write_showcase(folder / SHOWCASE_FILE, self.showcase)
        write_results(folder / FILE, self.results)

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
    """Train frames for the per-element fit: at most ``most`` (but one a molecule), as many of each molecule,
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
    """Test frames to evaluate: all, or at most ``most`` (but one a molecule), as many of each molecule and spread
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


def evaluate(
    run: LoadedRun,
    store: FrameStore,
    split: Split,
    settings: Settings | None = None,
    progress: Callable[[int, int], Any] | None = None,
    predictor: Predictor = predict_sets,
) -> Evaluation:
    """Predict both test sets of a split and compute everything that ``results.json`` holds.

    Args:
        run: the trained potential.
        store: where the frames are.
        split: which frames test; train frames serve the per-element fit of the energy errors, and the audit's
            novelty.
        settings: bootstrap and batches.
        progress: called with the number of frames done, and of frames in all.
        predictor: what predicts: this process, or several (:mod:`compbench_jax.evaluation.processes`).

    Raises:
        DataError: an element that the potential does not know.
        RunError: a prediction that is not finite.
    """
    settings = settings or Settings()
    indices = {
        "id": test_sample(store, split.id_test, settings.max_frames),
        "ood": test_sample(store, split.ood_test, settings.max_frames),
        "fit": fit_sample(store, split.train, settings.fit_frames, settings.seed),
    }
    total, done = sum(len(item) for item in indices.values()), 0

    def advance(frames: int) -> None:
        nonlocal done
        done += frames
        if progress is not None:
            progress(done, total)

    predictions = predictor(run, store, indices, settings, advance)
    sets = {part: store.gather(item) for part, item in indices.items()}
    for part, frames in sets.items():
        _refuse_not_finite(predictions[part], frames, store, part)

    elements = run.potential.normalisation.elements
    fit_errors = predictions["fit"].energy - sets["fit"].energy
    fit_compositions = compositions(sets["fit"], elements)
    tests = {}
    for part in TEST_PARTS:
        frames, table = sets[part], predictions[part].sums.astype(np.float64)
        # In float64 from the saved energies: on the device, float32 rounds interaction energies to 1e-5 eV.
        errors = table[:, ENERGY_ERROR] = predictions[part].energy - frames.energy
        referenced = referenced_errors(errors, compositions(frames, elements), fit_errors, fit_compositions)
        molecule = same_molecules(store.graphs)[frames.molecule]
        complete = complete_table(table, referenced, centred_errors(errors, molecule))
        tests[part] = TestSet.build(store.graphs, frames, predictions[part].forces, complete)
    evaluated = replace(split, id_test=indices["id"], ood_test=indices["ood"])
    results, where = assemble(
        subject_of_run(run), store, evaluated, tests, settings.samples, settings.seed, len(indices["fit"])
    )
    predicted = {part: predictions[part] for part in TEST_PARTS}
    frames_of = {part: np.asarray(indices[part], np.int64) for part in TEST_PARTS}
    return Evaluation(results, predicted, frames_of, where, showcase(store, frames_of, predicted, settings.seed))


def _refuse_not_finite(predictions: Predictions, frames: Frames, store: FrameStore, part: str) -> None:
    """Stop at a NaN or infinity: means over the other frames would hide it."""
    bad = ~np.isfinite(predictions.sums).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        name = store.graphs[frames.molecule[first]].molecule.name
        raise RunError(
            f"the potential's prediction for {int(bad.sum())} of {len(bad)} {part} frames is not finite "
            f"(first: frame {first}, {name}): the run has diverged, train it again with a lower learning rate"
        )
