"""Predictions read back from disk, and what can be computed from them without the potential."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.evaluate import PREDICTIONS, TEST_PARTS
from compbench_jax.evaluation.predict import Predictions
from compbench_jax.evaluation.score import same_molecules
from compbench_jax.evaluation.settings import Settings
from compbench_jax.evaluation.uncertainty import items_of, spread_block
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True, eq=False)
class SavedPredictions:
    """What an evaluation wrote of one test set.

    Attributes:
        energy: total energies, eV float64 ``[n_frames]``.
        forces: eV/Å float32 ``[n_atoms, 3]``.
        frames: indices into the store, int64 ``[n_frames]``.
    """

    energy: np.ndarray
    forces: np.ndarray
    frames: np.ndarray


def load_saved(folder: Path, part: str) -> SavedPredictions:
    """The predictions in ``FOLDER/predictions`` of ``"id"`` or ``"ood"``.

    Raises:
        RunError: they are absent or damaged.
    """
    arrays = {}
    for name in ("energy", "forces", "frames"):
        path = folder / PREDICTIONS / f"{part}_{name}.npy"
        try:
            if not path.is_file():  # a pipe would be waited for
                raise FileNotFoundError("there is no such file")
            arrays[name] = np.load(path, allow_pickle=False)
            if not isinstance(arrays[name], np.ndarray) or arrays[name].dtype.kind not in "fi":
                raise ValueError("it is no array of numbers")
        except Exception as error:  # of NumPy, tokenize, zipfile: whatever the damage leads to
            raise RunError(f"{path} cannot be read ({error}): evaluate again") from error
    return SavedPredictions(**arrays)


def ensemble_uncertainty(
    predictions: Mapping[str, Sequence[Predictions | SavedPredictions]],
    frames: Mapping[str, np.ndarray],
    store: FrameStore,
    settings: Settings,
) -> dict[str, Any]:
    """Ensemble standard deviation compared with the error of the mean, for forces (by atom) and energies (by frame).

    Args:
        predictions: for ``"id"`` and ``"ood"`` those of two members or more.
        frames: indices of the predicted frames into the store, likewise.
        store: where the labels are.
        settings: bootstrap of the intervals.
    """
    found: dict[str, Any] = {"forces": {}, "energy": {}}
    for part, members in predictions.items():
        labels = store.gather(frames[part])
        molecule = same_molecules(store.graphs)[labels.molecule]
        quantities = {
            "forces": ([item.forces for item in members], labels.forces, np.repeat(molecule, labels.n_atoms)),
            "energy": ([item.energy for item in members], labels.energy, molecule),
        }
        for name, (values, reference, owner) in quantities.items():
            items = items_of(values, reference, owner)
            found[name][part] = spread_block(items, settings.samples, settings.seed, part)
    return {"n_members": len(predictions["id"]), **found}


def saved_uncertainty(folders: Sequence[Path], store: FrameStore, settings: Settings) -> dict[str, Any]:
    """:func:`ensemble_uncertainty` of evaluations that differ in their seed, from the predictions they kept.

    Raises:
        RunError: predictions are absent, or of different frames.
    """
    predictions, frames = {}, {}
    for part in TEST_PARTS:
        saved = [load_saved(folder, part) for folder in folders]
        if any(not np.array_equal(item.frames, saved[0].frames) for item in saved):
            raise RunError(
                f"{folders[0]} and others hold {part.upper()} predictions of different frames: evaluate again"
            )
        if saved[0].frames.max() >= store.n_frames or len(saved[0].forces) != store.gather(saved[0].frames).offsets[-1]:
            raise RunError(f"{store.path} is not the data of {folders[0]}: give that data set with --data")
        predictions[part], frames[part] = saved, saved[0].frames
    return ensemble_uncertainty(predictions, frames, store, settings)
