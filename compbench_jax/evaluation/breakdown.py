"""Errors of one test set, whole and broken down: by molecule, n, element, end fragment, and where the novelty is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from compbench_jax.evaluation.intervals import Estimate, Metrics, measure
from compbench_jax.evaluation.results import section
from compbench_jax.metrics.aggregate import (
    LARGER_IS_BETTER,
    SUM_COLUMNS,
    force_metrics,
    metrics_from_sums,
    molecule_sums,
)
from compbench_jax.metrics.sums import ATOM_COLUMNS, atom_terms
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import Frames

SPREAD = {"p05": 0.05, "p50": 0.50, "p95": 0.95}
"""Quantiles over a molecule's frames that are given beside its mean."""

CHUNK = 16384
"""Atoms whose force terms are computed at a time."""

_atom_terms = jax.jit(atom_terms)

Labels = np.ndarray
"""A label for each frame or atom, str ``[n]``; the empty string leaves it out."""


@dataclass(frozen=True, eq=False)
class TestSet:
    """The evaluated frames of ID or OOD.

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

    @classmethod
    def build(
        cls, graphs: Sequence[MolecularGraph], frames: Frames, forces: np.ndarray, table: np.ndarray
    ) -> "TestSet":
        """Test set of frames with predicted forces (eV/Å ``[n_atoms, 3]``) and the complete table of sums."""
        return cls(frames, same_molecules(graphs)[frames.molecule], table, all_atom_terms(forces, frames.forces))

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Molecules, ascending ``[n_molecules]``, and their sums ``[n_molecules, len(SUM_COLUMNS)]``."""
        return molecule_sums(self.table, self.molecule)

    def frame_mae(self) -> np.ndarray:
        """Force MAE of each frame by itself, eV/Å ``[n_frames]``."""
        return metrics_from_sums(self.table)["force_mae"]

    def select(self, chosen: np.ndarray) -> "TestSet":
        """The frames where ``chosen`` (bool ``[n_frames]``) holds; only the table is cut, the atoms stay behind."""
        return replace(self, molecule=self.molecule[chosen], table=self.table[chosen])


def estimates(sums: np.ndarray, metrics: Metrics) -> dict[str, Estimate]:
    """Metrics with intervals of molecule sums ``[n_molecules, n_columns]``."""
    return measure(sums, metrics, LARGER_IS_BETTER, "all").estimates()


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


def counts_of(sums: np.ndarray) -> dict[str, int]:
    """What molecule sums ``[n_molecules, len(SUM_COLUMNS)]`` were taken over."""
    total = dict(zip(SUM_COLUMNS, sums.sum(axis=0), strict=True))
    return {
        "n_molecules": len(sums),
        "n_frames": round(total["frames"]),
        "n_atoms": round(total["atoms"]),
        "skipped_atoms": round(total["atoms"] - total["cosine_atoms"]),
    }


def whole(test: TestSet) -> dict[str, Any]:
    """The block of a test set, or of some of its frames."""
    _, sums = test.sums()
    return section(estimates(sums, metrics_from_sums), counts_of(sums))


def by_molecule(test: TestSet, graphs: Sequence[MolecularGraph]) -> dict[str, Any]:
    """A block for each molecule by InChIKey, with what the molecule is and the spread over its frames."""
    frame_mae = test.frame_mae()
    blocks = {}
    for molecule, sums in zip(*test.sums(), strict=True):
        identity = graphs[molecule].molecule
        values = {name: Estimate(finite(value)) for name, value in metrics_from_sums(sums).items()}
        spread = np.quantile(frame_mae[test.molecule == molecule], list(SPREAD.values()))
        blocks[identity.inchikey] = {
            "name": identity.name,
            "smiles": identity.smiles,
            "family": identity.family,
            "n": identity.n,
            "ends": identity.ends,
            **section(values, counts_of(sums[None])),
            "force_mae_frames": dict(zip(SPREAD, spread, strict=True)),
        }
    return blocks


def by_frame(test: TestSet, labels: Labels) -> dict[str, Any]:
    """A block for each label of frames, in the order of their first occurrence."""
    return {label: whole(test.select(labels == label)) for label in dict.fromkeys(labels.tolist()) if label}


def by_label_of_molecule(test: TestSet, label: Callable[[int], str | None]) -> dict[str, Any]:
    """A block for each label of molecules; ``label`` takes the index of a graph, None leaves the molecule out."""
    of = {int(molecule): label(int(molecule)) or "" for molecule in np.unique(test.molecule)}
    return by_frame(test, np.array([of[int(m)] for m in test.molecule], str))


def by_end_fragment(test: TestSet, graphs: Sequence[MolecularGraph]) -> dict[str, Any]:
    """A block for each end fragment: the molecules that have it at one end at least."""
    ends = {int(m): graphs[m].molecule.ends or () for m in np.unique(test.molecule)}
    blocks = {}
    for fragment in dict.fromkeys(end for pair in ends.values() for end in pair):
        having = [m for m, pair in ends.items() if fragment in pair]
        blocks[fragment] = whole(test.select(np.isin(test.molecule, having)))
    return blocks


def by_atom(test: TestSet, labels: Labels, order: Iterable[str]) -> dict[str, Any]:
    """A block of force metrics for each label of atoms; intervals are over the molecules that have such atoms.

    Args:
        test: the test set, uncut.
        labels: str ``[n_atoms]``.
        order: the labels in the order wanted; those that no atom has are left out.
    """
    owner = np.repeat(test.molecule, test.frames.n_atoms)
    frame = np.repeat(np.arange(test.frames.n_frames), test.frames.n_atoms)
    atoms, directed = ATOM_COLUMNS.index("atoms"), ATOM_COLUMNS.index("cosine_atoms")
    blocks = {}
    for label in order:
        chosen = labels == label
        if not chosen.any():
            continue
        _, sums = molecule_sums(test.terms[chosen], owner[chosen])
        counts = {
            "n_molecules": len(sums),
            "n_frames": len(np.unique(frame[chosen])),
            "n_atoms": round(sums[:, atoms].sum()),
            "skipped_atoms": round((sums[:, atoms] - sums[:, directed]).sum()),
        }
        blocks[label] = section(estimates(sums, force_metrics), counts)
    return blocks


def atoms_of_frames(frames: Frames, of_molecule: Mapping[int, np.ndarray]) -> np.ndarray:
    """Spread values of a molecule's atoms (by graph, ``[n_atoms of the molecule]``) over all frames, ``[n_atoms]``."""
    return np.concatenate([of_molecule[int(m)] for m in frames.molecule])


def finite(value: Any) -> float | None:
    """A number, or None where it is NaN or infinite."""
    return float(value) if np.isfinite(value) else None
