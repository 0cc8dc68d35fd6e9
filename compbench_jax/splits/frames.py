"""From molecules to frames: which frames of a store train, validate and test."""

from collections.abc import Iterable

import numpy as np

from compbench_jax.errors import TaskError
from compbench_jax.splits.checks import MoleculeSplit, check_split, named
from compbench_jax.splits.split import Split
from compbench_jax.store.store import SETS, FrameStore


def frames_of(store: FrameStore, molecules: Iterable[int], set: str) -> np.ndarray:
    """All frames of one set of these molecules, int64 ``[n]``, ascending."""
    wanted = np.isin(store.molecule, np.asarray(tuple(molecules), np.int64))
    return np.flatnonzero(wanted & (store.set == SETS.index(set)))


def secondary_frames(store: FrameStore, molecules: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Secondary frames of these molecules: the leading ``tuning_frames`` of each, and all later ones.

    The cut is made in every molecule by itself, counting from the front, so that it is right for no tuning
    frames too.
    """
    frames = frames_of(store, molecules, "secondary")
    owners = store.molecule[frames]
    # Frames are ordered by molecule: a frame's rank in its molecule is its distance from the first one.
    rank = np.arange(len(frames)) - np.searchsorted(owners, owners, side="left")
    tuning = rank < store.manifest.tuning_frames
    return frames[tuning], frames[~tuning]


def require_sets(task: str, store: FrameStore, molecules: Iterable[int], sets: Iterable[str]) -> None:
    """Refuse molecules without frames in the sets that a task needs of them.

    A secondary set counts as missing where it has no frame after its tuning frames, since nothing is left to
    test on.

    Raises:
        TaskError: naming the set and the molecules.
    """
    molecules = tuple(molecules)
    for name in sets:
        counts = np.bincount(store.molecule[store.set == SETS.index(name)], minlength=len(store.graphs))
        missing = [m for m in molecules if counts[m] == 0]
        if missing:
            raise TaskError(
                f"{task}: no {name} trajectory in {store.path} for {named(store.graphs, missing)}: "
                "generate the data set again with these molecules"
            )
        tuning = store.manifest.tuning_frames
        short = [m for m in molecules if counts[m] <= tuning]
        if name == "secondary" and short:
            raise TaskError(
                f"{task}: the secondary set of {named(store.graphs, short)} in {store.path} has "
                f"{counts[short[0]]} frames, of which {tuning} tune and none test: "
                "generate longer secondary sets"
            )


def molecule_disjoint_split(store: FrameStore, task: str, chosen: MoleculeSplit) -> Split:
    """The frames of a task: primary frames train and test OOD, secondary frames tune and test ID.

    Raises:
        TaskError: a trajectory is missing, or the split fails :func:`check_split`.
    """
    require_sets(task, store, chosen.train, SETS)
    require_sets(task, store, chosen.ood, ("primary",))
    validation, id_test = secondary_frames(store, chosen.train)
    split = Split(
        task=task,
        train=frames_of(store, chosen.train, "primary"),
        validation=validation,
        id_test=id_test,
        ood_test=frames_of(store, chosen.ood, "primary"),
    )
    check_split(store, split)
    return split


def oracle_split(store: FrameStore, task: str, chosen: MoleculeSplit, most: int | None = None) -> Split:
    """The frames of an oracle: primary frames of *both* sides train, secondary frames of each side test.

    With ``most``, only so many primary frames of each OOD molecule train, evenly spaced over its trajectories.

    Validation and ID test are those of the task. The OOD test cannot be the task's own, whose frames are
    trained on here: it is the secondary set of the OOD molecules without its tuning frames, i.e. other
    conformers sampled in the same way, as in the ID test.

    Raises:
        TaskError: a trajectory is missing, or the split fails :func:`check_split`.
    """
    require_sets(task, store, (*chosen.train, *chosen.ood), SETS)
    validation, id_test = secondary_frames(store, chosen.train)
    shown = [evenly_spaced(frames_of(store, (molecule,), "primary"), most) for molecule in chosen.ood]
    split = Split(
        task=task,
        train=np.sort(np.concatenate([frames_of(store, chosen.train, "primary"), *shown])),
        validation=validation,
        id_test=id_test,
        ood_test=secondary_frames(store, chosen.ood)[1],
        molecule_disjoint=False,
    )
    check_split(store, split)
    return split


def evenly_spaced(indices: np.ndarray, count: int | None) -> np.ndarray:
    """At most ``count`` of the indices, evenly spaced, first and last among them; None: all."""
    if count is None or len(indices) <= count:
        return indices
    return indices[np.round(np.linspace(0, len(indices) - 1, count)).astype(np.int64)]
