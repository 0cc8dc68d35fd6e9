"""What errors are broken down by: one row of ``BREAKDOWNS`` each.

A new breakdown is a row: a function that says to which groups a molecule, frame or atom belongs. Its sums go into
``results.json``, and terminal, site, CSV files and docs show it; results of before do not have it, and leave it out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from compbench_jax.evaluation.result import MoleculeResult
from compbench_jax.evaluation.score import TestSet, atoms_of_frames
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.contacts import unseen_contact_frames
from compbench_jax.splits.split import Split
from compbench_jax.splits.unseen import known_environments, molecules_of, unseen_distances
from compbench_jax.store.store import FrameStore

FORCE_EDGES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Lower edges of the bins of ‖F‖, eV/Å, the same for all data, so that tables of several runs have the same rows.
At 300 K the middle 98% of the atoms are between 0.19 and 3.5 eV/Å."""

NONE = "none"
"""Group of the atoms of molecules without any unseen environment."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of the atoms or frames of a test set.

    Attributes:
        names: in the order to show them; some may be empty.
        code: group of each atom or frame, index into ``names``, int64 ``[n]``.
    """

    names: tuple[str, ...]
    code: np.ndarray


@dataclass(frozen=True, eq=False)
class Context:
    """What a breakdown may look at.

    Attributes:
        store: where the frames are.
        split: whose training set says what is unseen; its test sets are the frames of ``tests``.
        tests: the evaluated sets ``"id"`` and ``"ood"``.
    """

    store: FrameStore
    split: Split
    tests: Mapping[str, TestSet]

    @cached_property
    def distances(self) -> dict[int, np.ndarray]:
        """Bonds from each atom of each OOD molecule to the nearest unseen environment, −1 where there is none."""
        return dict(unseen_distances(self.store, self.split))

    @cached_property
    def neighbourhoods(self) -> np.ndarray:
        """Environments of radius 1 of the trained molecules."""
        return known_environments([self.store.graphs[m] for m in molecules_of(self.store, self.split.train)], 1)


def number_in(group: str) -> int:
    """The whole number that a group is named by; what is none comes last."""
    return int(group) if group.isdecimal() and len(group) < 9 else 10**9


def element_number(group: str) -> int:
    """Atomic number of the element that a group is named by; what is none comes last."""
    return int(atomic_numbers.get(group, 10**9))


def by_n(molecule: MoleculeResult) -> list[str]:
    """Carbons of the chain."""
    return [] if molecule.n is None else [str(molecule.n)]


def by_ends(molecule: MoleculeResult) -> list[str]:
    """End fragments; a molecule with two different ones is in both groups."""
    return list(dict.fromkeys(molecule.ends or ()))


def by_ch2(graph: MolecularGraph, _: Context) -> list[str]:
    """Number of CH2: carbons with exactly two hydrogens. With a fragment at either end it is that between the ends."""
    if graph.molecule.ends is None:
        return []
    hydrogens = np.zeros(graph.n_atoms, np.int64)
    for i, j in (graph.bonds.T, graph.bonds.T[::-1]):
        np.add.at(hydrogens, i[graph.numbers[j] == 1], 1)
    return [str(int(((graph.numbers == 6) & (hydrogens == 2)).sum()))]


def by_touching(graph: MolecularGraph, context: Context) -> list[str]:
    """Whether two fragments are bonded to each other: the molecule has an unseen environment at radius 1."""
    seen = np.isin(graph.environments[:, 1], context.neighbourhoods).all()
    return ["apart" if seen else "touching"]


def by_force(context: Context, part: str) -> Groups:
    """The norm of the reference force, in the bins of ``FORCE_EDGES``; an edge belongs to the bin above."""
    return force_groups(context.tests[part].frames.forces)


def force_groups(forces: np.ndarray) -> Groups:
    """Bins of the norms of forces, eV/Å ``[n_atoms, 3]``."""
    norm = np.linalg.norm(np.asarray(forces, np.float64), axis=1)
    names = [f"{low:g}–{high:g}" for low, high in pairwise(FORCE_EDGES)]
    return Groups((*names, f"≥ {FORCE_EDGES[-1]:g}"), np.searchsorted(FORCE_EDGES, norm, side="right") - 1)


def by_distance_and_element(context: Context, part: str) -> Groups:
    """Bonds to the nearest atom whose environment is absent from training, and element: ``"0 C"``.

    Elements are those of all molecules of the data set, lightest first.
    """
    test = context.tests[part]
    elements = np.unique(np.concatenate([graph.numbers for graph in context.store.graphs]))
    symbols = [chemical_symbols[z] for z in elements]
    element = np.searchsorted(elements, test.frames.numbers)
    if part == "id":  # every environment of a trained molecule is seen
        return Groups(tuple(f"{NONE} {symbol}" for symbol in symbols), element)
    distances = context.distances
    farthest = max((int(item.max()) for item in distances.values()), default=-1)
    found = atoms_of_frames(test.frames, distances)
    distance = np.where(found < 0, farthest + 1, found)
    bonds = (*map(str, range(farthest + 1)), NONE)
    return Groups(tuple(f"{a} {b}" for a in bonds for b in symbols), distance * len(symbols) + element)


def by_contact(context: Context, part: str) -> Groups:
    """Frames with and without a pair of close non-bonded environments that never occurs in training."""
    frames = getattr(context.split, f"{part}_test")
    return Groups(("unseen", "seen"), np.where(unseen_contact_frames(context.store, context.split.train, frames), 0, 1))


@dataclass(frozen=True)
class Breakdown:
    """A division of the test sets.

    Attributes:
        name: in results, and of the column in CSV files.
        heading: in tables.
        title: on the site.
        note: what the groups are, in a sentence.
        of: what is divided.
        function: of molecules: from a graph to the groups that it is in; of atoms or frames: from a test set to its
            groups. None: it follows from ``described`` or ``merged``.
        sets: test sets whose groups are shown.
        stored: test sets whose sums are stored, where they are others.
        order: what groups are sorted by; None: they are shown as they come.
        described: groups that follow from the description of a molecule.
        merged: finer breakdown whose groups it joins, and which word of their names is the joint name.
    """

    name: str
    heading: str
    title: str
    note: str
    of: Literal["molecules", "frames", "atoms"]
    function: Callable[[MolecularGraph, Context], list[str]] | Callable[[Context, str], Groups] | None = None
    sets: tuple[str, ...] = ("id", "ood")
    stored: tuple[str, ...] = ()
    order: Callable[[str], int] | None = None
    described: Callable[[MoleculeResult], list[str]] | None = None
    merged: tuple[str, int] | None = None


BREAKDOWNS: dict[str, Breakdown] = {
    item.name: item
    for item in (
        Breakdown(
            "distance",
            "bonds to unseen",
            "Distance to the unseen environment",
            "OOD atoms by the number of bonds to the nearest atom whose environment is absent from training; none: the "
            "molecule has no such atom",
            "atoms",
            sets=("ood",),
            merged=("distance_element", 0),
        ),
        Breakdown(
            "distance_element",
            "bonds, element",
            "Distance and element",
            "OOD atoms by both",
            "atoms",
            by_distance_and_element,
            ("ood",),
            ("id", "ood"),
        ),
        Breakdown(
            "element",
            "element",
            "Element",
            "atoms by element",
            "atoms",
            merged=("distance_element", 1),
            order=element_number,
        ),
        Breakdown(
            "end_fragment",
            "end fragment",
            "End fragment",
            "molecules with this fragment at one end at least; two different ends count for both",
            "molecules",
            described=by_ends,
        ),
        Breakdown(
            "ch2",
            "CH2",
            "CH2 between the ends",
            "molecules by their number of CH2: with a fragment at either end, those between the ends",
            "molecules",
            by_ch2,
            order=number_in,
        ),
        Breakdown(
            "n",
            "carbons n",
            "Carbons",
            "molecules by the carbons of their chain",
            "molecules",
            order=number_in,
            described=by_n,
        ),
        Breakdown(
            "force",
            "|F| (eV/Å)",
            "Size of the force",
            "atoms by the norm of their reference force, eV/Å",
            "atoms",
            by_force,
        ),
        Breakdown(
            "contact",
            "contacts",
            "Contacts",
            "OOD frames with (unseen) and without (seen) a pair of close non-bonded environments that never occurs in "
            "training, within 5 Å",
            "frames",
            by_contact,
            ("ood",),
        ),
        Breakdown(
            "touching",
            "fragments",
            "Fragments that touch",
            "OOD molecules in which two fragments are bonded to each other (touching) or not (apart)",
            "molecules",
            by_touching,
            ("ood",),
        ),
    )
}
"""Every breakdown by name, in the order of the tables."""


def in_order(breakdown: Breakdown, groups: Sequence[str]) -> list[str]:
    """Groups in the order to show them."""
    unique = list(dict.fromkeys(groups))
    return unique if breakdown.order is None else sorted(unique, key=breakdown.order)
