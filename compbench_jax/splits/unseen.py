"""Distance to an unseen environment: bonds from each atom of an OOD molecule to the nearest one unseen in train."""

from collections.abc import Iterable, Sequence

import numpy as np

from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore


def molecules_of(store: FrameStore, frames: np.ndarray) -> list[int]:
    """Molecules that these frames belong to, each InChIKey once: indices into ``store.graphs``, ascending."""
    first: dict[str, int] = {}
    for m in np.unique(store.molecule[frames]):
        first.setdefault(store.graphs[m].molecule.inchikey, int(m))
    return list(first.values())


def known_environments(graphs: Iterable[MolecularGraph], radius: int) -> np.ndarray:
    """Identifiers of all environments of one radius in these molecules, uint32 ``[n]``, ascending."""
    return np.unique(np.concatenate([graph.environments[:, radius] for graph in graphs]))


def first_unseen_radius(train: Sequence[MolecularGraph], ood: Sequence[MolecularGraph]) -> int | None:
    """The smallest radius at which ``ood`` has an environment that ``train`` lacks; None if none up to 4."""
    for radius in range(MAX_RADIUS + 1):
        if not np.isin(known_environments(ood, radius), known_environments(train, radius)).all():
            return radius
    return None


def bond_distances(graph: MolecularGraph, sources: np.ndarray) -> np.ndarray:
    """Bonds on the shortest path from each atom to the nearest source; −1 where no path leads to one.

    Args:
        graph: the molecule.
        sources: bool ``[n_atoms]``.

    Returns:
        int64 ``[n_atoms]``.
    """
    distance = np.where(sources, 0, -1)
    i, j = graph.bonds[:, 0], graph.bonds[:, 1]
    step = 0
    while True:
        reached = distance == step
        ahead = np.zeros(graph.n_atoms, bool)
        ahead[j[reached[i]]] = True
        ahead[i[reached[j]]] = True
        ahead &= distance < 0
        if not ahead.any():
            return distance
        step += 1
        distance[ahead] = step


def unseen_distances(store: FrameStore, split: Split) -> dict[int, np.ndarray]:
    """Bonds from each atom of each OOD molecule to the nearest atom of an unseen environment.

    An atom is unseen if its environment is absent from train, at the smallest radius at which *its molecule* has an
    unseen environment. One radius for a whole split would be that of its most unlike molecule (glycine's 1 among
    amino acids), at which the other molecules have nothing new.

    Returns:
        for every molecule of the OOD test (index into ``store.graphs``) int64 ``[n_atoms]``, in the atom
        order of the store: 0 for unseen ones, −1 throughout a molecule without any.
    """
    train = [store.graphs[m] for m in molecules_of(store, split.train)]
    known = [known_environments(train, radius) for radius in range(MAX_RADIUS + 1)]
    return {int(m): _distances(store.graphs[m], known) for m in np.unique(store.molecule[split.ood_test])}


def _distances(graph: MolecularGraph, known: Sequence[np.ndarray]) -> np.ndarray:
    for radius, environments in enumerate(known):
        unseen = ~np.isin(graph.environments[:, radius], environments)
        if unseen.any():
            return bond_distances(graph, unseen)
    return np.full(graph.n_atoms, -1)
