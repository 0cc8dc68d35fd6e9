"""The one way from predictions to errors: of a trained run, several processes or any calculator, in float64.

Forces are compared atom by atom by a compiled program (:mod:`compbench_jax.metrics.sums`), energies in float64 on the
host. A frame whose prediction is absent or not finite is left out of every metric, and counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import jax
import numpy as np

from compbench_jax.batching.dataset import compositions
from compbench_jax.errors import RunError
from compbench_jax.metrics.aggregate import (
    centred_errors,
    complete_table,
    metrics_from_sums,
    molecule_sums,
    referenced_errors,
)
from compbench_jax.metrics.sums import ATOM_COLUMNS, FORCE_THRESHOLD, FRAME_COLUMNS, atom_terms
from compbench_jax.models.normalisation import fit_reference_energies
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import Frames
from compbench_jax.store.store import FrameStore

CHUNK = 16384
"""Atoms whose force terms are computed at a time."""

WORDS = {"id": "ID test", "ood": "OOD test", "fit": "training"}

_atom_terms = jax.jit(atom_terms)


class Predicted(Protocol):
    """Energies (eV, ``[n_frames]``) and forces (eV/Å, ``[n_atoms, 3]``) of a set's frames, one after the other."""

    @property
    def energy(self) -> np.ndarray: ...  # noqa: D102

    @property
    def forces(self) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class TestSet:
    """The scored frames of ID or OOD.

    Attributes:
        frames: the labelled geometries.
        molecule: molecule of each frame, int64 ``[n_frames]``: index of the first graph with its InChIKey.
        table: per-frame sums, float64 ``[n_frames, len(SUM_COLUMNS)]``.
        terms: what the force sums are made of, float64 ``[n_atoms, len(ATOM_COLUMNS)]``.
    """

    __test__ = False  # pytest: not a test class

    frames: Frames
    molecule: np.ndarray
    table: np.ndarray
    terms: np.ndarray

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Molecules, ascending ``[n_molecules]``, and their sums ``[n_molecules, len(SUM_COLUMNS)]``."""
        return molecule_sums(self.table, self.molecule)

    def frame_mae(self) -> np.ndarray:
        """Force MAE of each frame by itself, eV/Å ``[n_frames]``."""
        return metrics_from_sums(self.table)["force_mae"]


@dataclass(frozen=True, eq=False)
class Score:
    """Scored test sets.

    Attributes:
        tests: ``"id"`` and ``"ood"``, without the frames that failed.
        good: for ``"id"``, ``"ood"`` and ``"fit"`` which frames have a finite prediction, bool ``[n_frames]``.
        shifts: eV for each element, fitted to the errors on training frames, that referenced energies have taken out.
        rank: of the compositions that they were fitted to.
        fit_frames: how many these are.
    """

    tests: dict[str, TestSet]
    good: dict[str, np.ndarray]
    shifts: dict[int, float]
    rank: int
    fit_frames: int


def score(store: FrameStore, frames: Mapping[str, np.ndarray], predictions: Mapping[str, Predicted]) -> Score:
    """Errors of predictions.

    Args:
        store: where the labels are.
        frames: indices into the store of ``"id"``, ``"ood"``, and ``"fit"``: training frames for the zero of energy.
        predictions: of these frames; NaN where there is none.

    Raises:
        RunError: no frame of a set has a finite prediction.
    """
    good = {part: is_finite(store.gather(frames[part]), predictions[part]) for part in frames}
    for part, finite in good.items():
        if not finite.any():
            raise RunError(
                f"no prediction for the {len(finite)} {WORDS[part]} frames is finite: the potential has diverged, "
                "train it again with a lower learning rate"
            )
    kept = {part: frames[part][finite] for part, finite in good.items()}
    labels = {part: store.gather(indices) for part, indices in kept.items()}
    errors = {part: predictions[part].energy[good[part]] - labels[part].energy for part in frames}
    elements = np.unique(np.concatenate([item.numbers for item in labels.values()])).tolist()
    of = {part: compositions(item, elements) for part, item in labels.items()}
    representative, tests = same_molecules(store.graphs), {}
    for part in ("id", "ood"):
        forces = predictions[part].forces[np.repeat(good[part], store.gather(frames[part]).n_atoms)]
        molecule = representative[labels[part].molecule]
        terms = all_atom_terms(forces, labels[part].forces)
        table = frame_table(labels[part], terms, forces, errors[part])
        referenced = referenced_errors(errors[part], of[part], errors["fit"], of["fit"])
        complete = complete_table(table, referenced, centred_errors(errors[part], molecule))
        tests[part] = TestSet(labels[part], molecule, complete, terms)
    shifts = fit_reference_energies(of["fit"], errors["fit"])
    return Score(
        tests,
        good,
        dict(zip(elements, map(float, shifts), strict=True)),
        int(np.linalg.matrix_rank(of["fit"])),
        len(kept["fit"]),
    )


def is_finite(labels: Frames, predictions: Predicted) -> np.ndarray:
    """The one rule for a prediction that counts: its energy and all its forces are finite, bool ``[n_frames]``."""
    atoms = np.isfinite(predictions.forces).all(axis=1)
    return np.isfinite(predictions.energy) & np.logical_and.reduceat(atoms, labels.offsets[:-1])


def frame_table(frames: Frames, terms: np.ndarray, forces: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Per-frame sums, float64 ``[n_frames, len(COLUMNS)]``.

    Args:
        frames: the labels.
        terms: of their atoms.
        forces: predicted, eV/Å ``[n_atoms, 3]``.
        errors: of the energies, eV ``[n_frames]``.
    """
    starts = frames.offsets[:-1]
    largest = np.maximum.reduceat(np.abs(forces - frames.forces).max(axis=1), starts)
    columns = {
        "frames": np.ones(frames.n_frames),
        "energy_error": errors,
        "within_threshold": largest < FORCE_THRESHOLD,
    }
    of_atoms = np.add.reduceat(terms, starts, axis=0)
    return np.concatenate([of_atoms, np.stack([columns[name] for name in FRAME_COLUMNS], axis=1)], axis=1)


def all_atom_terms(predicted: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The terms of ``ATOM_COLUMNS`` for any number of atoms, float64 ``[n_atoms, n_terms]``, compiled once."""
    terms = np.zeros((len(predicted), len(ATOM_COLUMNS)))
    for start in range(0, len(predicted), CHUNK):
        rows = slice(start, min(start + CHUNK, len(predicted)))
        padded = np.zeros((2, CHUNK, 3), np.float32)
        padded[0, : rows.stop - start], padded[1, : rows.stop - start] = predicted[rows], reference[rows]
        terms[rows] = np.asarray(_atom_terms(padded[0], padded[1]))[: rows.stop - start]
    return terms


def same_molecules(graphs: Sequence[MolecularGraph]) -> np.ndarray:
    """For each graph the first one with its InChIKey, int64 ``[n_graphs]``: two records of a molecule count as one."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(graph.molecule.inchikey, i) for i, graph in enumerate(graphs)], np.int64)


def atoms_of_frames(frames: Frames, of_molecule: Mapping[int, np.ndarray]) -> np.ndarray:
    """Values of a molecule's atoms (by graph, ``[n_atoms of the molecule]``), repeated for all frames ``[n_atoms]``."""
    return np.concatenate([of_molecule[int(m)] for m in frames.molecule])
