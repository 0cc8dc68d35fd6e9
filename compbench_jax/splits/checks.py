"""What must hold of a split before anything is trained on it; each violation names its culprit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from compbench_jax.errors import TaskError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.split import PARTS, Split
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True)
class MoleculeSplit:
    """Which molecules of a store are trained on and which are held out.

    Attributes:
        train: indices into ``store.graphs``, ascending.
        ood: likewise; disjoint from ``train``, by InChIKey too.
    """

    train: tuple[int, ...]
    ood: tuple[int, ...]


def check_molecules(
    task: str,
    graphs: Sequence[MolecularGraph],
    chosen: MoleculeSplit,
    trained_on: str = "",
    tested_on: str = "",
) -> None:
    """Refuse molecules that the store does not know, an empty side, and a molecule on both sides.

    Molecules are compared by InChIKey: two records of one molecule under two names count as one.

    Args:
        task: name of the task, for the messages.
        graphs: the molecules of the store.
        chosen: the two sides.
        trained_on: the rule for the training molecules in words, for the messages.
        tested_on: likewise for the held-out molecules.

    Raises:
        TaskError: naming the molecule or the empty side.
    """
    for side, indices, rule in (("training", chosen.train, trained_on), ("OOD", chosen.ood, tested_on)):
        unknown = [i for i in indices if not 0 <= i < len(graphs)]
        if unknown:
            raise TaskError(
                f"{task}: unknown {side} molecule {unknown[0]}: the data set holds molecules "
                f"0 to {len(graphs) - 1}, choose among these"
            )
        if not indices:
            wanted = f" ({rule})" if rule else ""
            raise TaskError(
                f"{task}: the data set has no {side} molecule{wanted}: "
                "choose another task, or generate a data set that has some"
            )
    trained = {graphs[i].molecule.inchikey: i for i in chosen.train}
    for j in chosen.ood:
        molecule = graphs[j].molecule
        if molecule.inchikey in trained:
            twin = trained[molecule.inchikey]
            raise TaskError(
                f"{task}: OOD molecule {molecule.name} (molecule {j}) is also the training molecule "
                f"{graphs[twin].molecule.name} (molecule {twin}), both are {molecule.inchikey}: "
                "remove one of the two from the data set"
            )


def check_split(store: FrameStore, split: Split) -> None:
    """Check the four sets of frames of a split against their store.

    None is empty, every frame exists, no frame is in two sets, and, unless ``split.molecule_disjoint`` is
    False, no InChIKey of the OOD test occurs in another set.

    Raises:
        TaskError: naming the set, the frame or the molecule.
    """
    for part, frames in split.parts().items():
        if not len(frames):
            raise TaskError(
                f"{split.task}: the {part} set of {store.path} is empty: choose another task or a larger data set"
            )
        outside = frames[(frames < 0) | (frames >= store.n_frames)]
        if len(outside):
            raise TaskError(
                f"{split.task}: {part} frame {outside[0]} is not in {store.path}, which holds frames 0 to "
                f"{store.n_frames - 1}: make the split from this data set"
            )
    owner = np.full(store.n_frames, -1)
    for number, (part, frames) in enumerate(split.parts().items()):
        taken = frames[owner[frames] >= 0]
        doubled = taken if len(taken) else repeated(frames)
        if len(doubled):
            frame = doubled[0]
            other = PARTS[owner[frame]] if len(taken) else part
            name = store.graphs[store.molecule[frame]].molecule.name
            raise TaskError(
                f"{split.task}: frame {frame} ({name}) is in {other} and again in {part}: "
                "give every frame to one set, once"
            )
        owner[frames] = number
    if split.molecule_disjoint:
        for part in PARTS[:3]:
            shared = shared_molecules(store, getattr(split, part), split.ood_test)
            if shared:
                raise TaskError(
                    f"{split.task}: OOD molecule {shared[0]} is in the {part} set too (same InChIKey): "
                    "give every molecule to one side only"
                )


def shared_molecules(store: FrameStore, frames: np.ndarray, others: np.ndarray) -> tuple[str, ...]:
    """Names of the molecules of ``others`` that occur in ``frames`` too, alone (by InChIKey) or in a pair (by SMILES),
    in store order.
    """
    own = [store.graphs[m].molecule for m in np.unique(store.molecule[frames])]
    keys = {molecule.inchikey for molecule in own}
    keys |= {part for molecule in own if len(molecule.parts) > 1 for part in molecule.parts}
    molecules = (store.graphs[m].molecule for m in np.unique(store.molecule[others]))
    return tuple(molecule.name for molecule in molecules if {molecule.inchikey, molecule.smiles} & keys)


def repeated(values: np.ndarray) -> np.ndarray:
    """The values that occur more than once, ascending."""
    unique, counts = np.unique(values, return_counts=True)
    return unique[counts > 1]


def named(graphs: Sequence[MolecularGraph], molecules: Iterable[int], most: int = 3) -> str:
    """Names of a few molecules for a message: ``"ethane, propane and 4 more"``."""
    names = [graphs[m].molecule.name for m in molecules]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
