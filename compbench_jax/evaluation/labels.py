"""What an error is broken down by: element, novelty, contacts and reference force of every atom of the test sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.evaluation.breakdown import TestSet, atoms_of_frames
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.contacts import novel_contact_frames
from compbench_jax.splits.novelty import novelty_distances
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore

FORCE_EDGES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Lower edges of the bins of ‖F‖, eV/Å, the same for all data, so that tables of several runs have the same rows.
At 300 K the middle 98% of the atoms are between 0.19 and 3.5 eV/Å."""

NO_NOVELTY = "none"
"""Label of atoms of molecules without any novel environment."""

CONTACTS = ("novel", "known")


@dataclass(frozen=True, eq=False)
class AtomLabels:
    """One breakdown of the atoms of a test set.

    Attributes:
        names: the labels in the order to show them; some may have no atom.
        code: label of each atom, index into ``names``, int64 ``[n_atoms]``.
    """

    names: tuple[str, ...]
    code: np.ndarray

    def text(self) -> np.ndarray:
        """The label of each atom in words, str ``[n_atoms]``."""
        return np.array(self.names, str)[self.code]


@dataclass(frozen=True, eq=False)
class Labelled:
    """The breakdowns of both test sets.

    Attributes:
        atoms: for ``"id"`` and ``"ood"`` the breakdowns by name: ``element`` and ``force``, and of OOD also
            ``distance`` (bonds to the nearest novel environment), ``distance_element`` and ``contact``.
        novel_contact: whether an OOD frame has a contact that no training frame has, bool ``[n_frames]``.
    """

    atoms: dict[str, dict[str, AtomLabels]]
    novel_contact: np.ndarray


def label_atoms(store: FrameStore, split: Split, tests: Mapping[str, TestSet]) -> Labelled:
    """Label every atom of the test sets.

    Args:
        store: where the frames are.
        split: whose train set says what is novel; its test sets are the frames of ``tests``.
        tests: the sets ``"id"`` and ``"ood"``.
    """
    atoms = {}
    for part, test in tests.items():
        atoms[part] = {
            "element": by_element(store.graphs, test.frames.numbers),
            "force": by_force(test.frames.forces),
        }
    ood = tests["ood"]
    distance = by_distance(ood, novelty_distances(store, split))
    novel = novel_contact_frames(store, split.train, split.ood_test)
    atoms["ood"] |= {
        "distance": distance,
        "distance_element": crossed(distance, atoms["ood"]["element"]),
        "contact": AtomLabels(CONTACTS, np.repeat(np.where(novel, 0, 1), ood.frames.n_atoms)),
    }
    return Labelled(atoms, novel)


def by_element(graphs: tuple[MolecularGraph, ...], numbers: np.ndarray) -> AtomLabels:
    """Atoms by element; the labels are the elements of all these molecules, lightest first."""
    known = np.unique(np.concatenate([graph.numbers for graph in graphs]))
    return AtomLabels(tuple(chemical_symbols[z] for z in known), np.searchsorted(known, numbers))


def by_force(forces: np.ndarray) -> AtomLabels:
    """Atoms by the norm of the reference force, in the bins of ``FORCE_EDGES``; an edge belongs to the bin above."""
    norm = np.linalg.norm(np.asarray(forces, np.float64), axis=1)
    names = [f"{low:g}–{high:g}" for low, high in pairwise(FORCE_EDGES)]
    return AtomLabels((*names, f"≥ {FORCE_EDGES[-1]:g}"), np.searchsorted(FORCE_EDGES, norm, side="right") - 1)


def by_distance(test: TestSet, distances: Mapping[int, np.ndarray]) -> AtomLabels:
    """Atoms by bonds to the nearest atom whose environment is absent from train.

    Args:
        test: the OOD set.
        distances: of the atoms of each molecule, −1 throughout a molecule without novelty
            (:func:`compbench_jax.splits.novelty.novelty_distances`).
    """
    farthest = max((int(item.max()) for item in distances.values()), default=-1)
    names = (*map(str, range(farthest + 1)), NO_NOVELTY)
    found = atoms_of_frames(test.frames, dict(distances))
    return AtomLabels(names, np.where(found < 0, farthest + 1, found))


def crossed(first: AtomLabels, second: AtomLabels) -> AtomLabels:
    """Both labels at once, ``"0 C"``: elements differ in their errors, and novel places in their elements."""
    names = tuple(f"{a} {b}" for a in first.names for b in second.names)
    return AtomLabels(names, first.code * len(second.names) + second.code)


def methylenes(graph: MolecularGraph) -> int | None:
    """Number of CH2 in the chain of a registry molecule: carbons with exactly two hydrogens; None outside the registry.

    With a fragment at either end it is the number of CH2 between the ends.
    """
    if graph.molecule.ends is None:
        return None
    hydrogens = np.zeros(graph.n_atoms, np.int64)
    for i, j in (graph.bonds.T, graph.bonds.T[::-1]):
        np.add.at(hydrogens, i[graph.numbers[j] == 1], 1)
    return int(((graph.numbers == 6) & (hydrogens == 2)).sum())
