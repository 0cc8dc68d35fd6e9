"""``showcase.json``: what a report shows of an evaluation and cannot compute from sums: parity points, worst frames."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from compbench_jax.files import save
from compbench_jax.store.store import FrameStore

FILE = "showcase.json"
SCHEMA_VERSION = 1
PARITY_POINTS = 800
"""Force components shown of a set; energies are all shown up to as many frames."""
WORST_FRAMES = 3
"""Frames kept of a set, each of another molecule."""


class Predicted(Protocol):
    """Energies (eV, ``[n_frames]``) and forces (eV/Å, ``[n_atoms, 3]``) of a set's frames, one after the other."""

    @property
    def energy(self) -> np.ndarray: ...  # noqa: D102

    @property
    def forces(self) -> np.ndarray: ...  # noqa: D102


def showcase(
    store: FrameStore, frames: Mapping[str, np.ndarray], predictions: Mapping[str, Predicted], seed: int = 0
) -> dict[str, Any]:
    """Contents of ``showcase.json``.

    Args:
        store: where the labels are.
        frames: indices into the store of the evaluated frames of ``"id"`` and ``"ood"``.
        predictions: of these frames.
        seed: of the choice of points.

    Returns:
        for each set ``parity`` (forces in meV/Å as whole numbers, label and prediction; centred energies in meV) and
        ``worst``: the frames with the largest force MAE, each the worst of its molecule.
    """
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "parity": {}, "worst": {}}
    for part, indices in frames.items():
        labels = store.gather(indices)
        energy, forces = np.asarray(predictions[part].energy), np.asarray(predictions[part].forces)
        rng = np.random.default_rng([seed, len(indices)])
        good = np.isfinite(forces).all(axis=1).nonzero()[0]
        atoms = np.sort(rng.permutation(good)[:PARITY_POINTS])
        axis = rng.integers(3, size=len(atoms))
        pairs = (np.round(1000 * array[atoms, axis]).astype(int).tolist() for array in (labels.forces, forces))
        content["parity"][part] = {
            "forces": dict(zip(("label", "prediction"), pairs, strict=True)),
            "energy": _energies(labels.energy, energy, labels.molecule, rng),
        }
        content["worst"][part] = _worst(store, np.asarray(indices), forces)
    return content


def _energies(
    label: np.ndarray, prediction: np.ndarray, molecule: np.ndarray, rng: np.random.Generator
) -> dict[str, list[float]]:
    """Conformational energies (meV): each molecule's own means taken out of labels and predictions."""
    centred = []
    known = np.isfinite(prediction)
    for values in (label, prediction):
        out = np.array(values, np.float64)
        for m in np.unique(molecule):
            own = (molecule == m) & known
            out[molecule == m] -= out[own].mean() if own.any() else 0.0
        centred.append(out)
    chosen = np.sort(rng.permutation(known.nonzero()[0])[:PARITY_POINTS])
    keys = ("label", "prediction")
    return {key: np.round(1000 * values[chosen], 1).tolist() for key, values in zip(keys, centred, strict=True)}


def _worst(store: FrameStore, indices: np.ndarray, forces: np.ndarray) -> list[dict[str, Any]]:
    labels = store.gather(indices)
    starts = labels.offsets[:-1]
    error = np.abs(forces - labels.forces).mean(axis=1)
    mae = np.add.reduceat(error, starts) / labels.n_atoms
    mae = np.where(np.isfinite(mae), mae, -1.0)
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    for k in np.argsort(-mae):
        molecule = int(labels.molecule[k])
        if molecule in seen or mae[k] < 0:
            continue
        seen.add(molecule)
        graph = store.graphs[molecule]
        own = slice(starts[k], starts[k] + labels.n_atoms[k])
        found.append(
            {
                "name": graph.molecule.name,
                "smiles": graph.molecule.smiles,
                "frame": int(indices[k]),
                "force_mae": float(f"{mae[k]:.4g}"),
                "numbers": graph.numbers.tolist(),
                "bonds": graph.bonds.tolist(),
                "positions": np.round(labels.positions[own].astype(float), 3).tolist(),
                "label": np.round(labels.forces[own].astype(float), 3).tolist(),
                "prediction": np.round(forces[own].astype(float), 3).tolist(),
            }
        )
        if len(found) == WORST_FRAMES:
            break
    return found


def write_showcase(path: Path, content: dict[str, Any]) -> None:
    """Write the file, whole or not at all.

    Raises:
        RunError: it could not be written.
    """
    save(path, (json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n").encode())
