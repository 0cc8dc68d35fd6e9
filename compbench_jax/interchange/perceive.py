"""Which molecules are the frames of a file? Bonds are perceived in few of them and compared in all."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.labelling.bonds import bonds_whole, changed_bond
from compbench_jax.molecules.identify import Identified, Identifier
from compbench_jax.molecules.matching import match_geometry, match_order
from compbench_jax.molecules.molecule import MolecularGraph

ATTEMPTS = 5
"""Frames without a molecule after which the search among the rest is given up: each may cost the time limit."""

REACTED = 0.1
"""A molecule outside the registry with fewer frames than this share of another with the same atoms is its reaction."""

CHUNK = 4096
"""Frames looked at in one go."""

NO_STEREO = "-UHFFFAOYSA-"
"""Second block of the InChIKey of a molecule without stereocentres and isotopes."""

SAMPLE = 16
"""Frames, evenly from all, that show whether any other frame shares an atom order."""


@dataclass(frozen=True, eq=False)
class Species:
    """A molecule found among frames with the same sequence of elements.

    Attributes:
        identified: the molecule and its graph.
        orders: atom orders of its frames that occur, each int64 ``[n_atoms]``: ``positions[order]`` is in the order of
            the graph.
        members: the frames in each of them, int64, ascending.
    """

    identified: Identified
    orders: list[np.ndarray] = field(default_factory=list)
    members: list[np.ndarray] = field(default_factory=list)

    @property
    def n_frames(self) -> int:
        """Number of frames, in whatever order of their atoms."""
        return sum(len(rows) for rows in self.members)

    def frames(self) -> tuple[np.ndarray, np.ndarray]:
        """Its frames, ascending, and for each the number of its order, both int64 ``[n_frames]``."""
        rows = np.concatenate(self.members)
        order_of = np.repeat(np.arange(len(self.members)), [len(own) for own in self.members])
        sort = np.argsort(rows)
        return rows[sort], order_of[sort]


def find_species(
    identifier: Identifier,
    numbers: np.ndarray,
    energy: np.ndarray,
    positions: Callable[[np.ndarray], np.ndarray],
) -> tuple[list[Species], dict[int, str]]:
    """Tell the molecules of frames with the same sequence of elements apart by their bonds.

    The frame of lowest energy is the least distorted: its bonds are perceived, and every frame in which none of them
    broke or formed is of that molecule. What is left over is treated likewise, after a look whether it is one of the
    molecules found with its atoms in another order.

    Args:
        identifier: perceives bonds.
        numbers: atomic numbers common to the frames, int32 ``[n_atoms]``.
        energy: eV, ``[n_frames]``.
        positions: gives the positions of frames by number, Å, float32 ``[n, n_atoms, 3]``.

    Returns:
        the molecules, and for every frame that is of none of them the reason.
    """
    left = np.ones(len(energy), bool)
    tried: dict[int, str] = {}
    untried = left.copy()
    found: list[Species] = []
    failures = 0
    while failures < ATTEMPTS and untried.any():
        best = int(np.argmin(np.where(untried, energy, np.inf)))
        untried[best] = False
        geometry = positions(np.array([best]))[0].astype(np.float64)
        try:
            species, order = _place(identifier, numbers, geometry, found)
        except DataError as error:
            tried[best] = str(error)
            failures += 1
            continue
        reason = changed_bond(species.identified.graph, geometry[order])
        if reason:
            tried[best] = reason
            failures += 1
            continue
        rows = np.flatnonzero(left)
        whole = _whole(species.identified.graph, order, rows, positions)
        whole |= rows == best  # both comparisons agree on it but for the last digit, and the search must end
        species.orders.append(order)
        species.members.append(rows[whole])
        left[rows[whole]] = untried[rows[whole]] = False
        if species not in found:
            found.append(species)
    largest = max((species.n_frames for species in found), default=0)
    kept = [s for s in found if s.identified.molecule.family or s.n_frames >= REACTED * largest]
    main = max(kept, key=lambda species: species.n_frames, default=None)
    dropped = [int(k) for s in found if s not in kept for k in s.frames()[0]] + np.flatnonzero(left).tolist()
    reasons = {}
    for k in sorted(dropped):
        change = changed_bond(main.identified.graph, positions(np.array([k]))[0].astype(np.float64)) if main else None
        reasons[k] = change or tried.get(k) or next(iter(tried.values()))
    return kept, reasons


def _place(
    identifier: Identifier, numbers: np.ndarray, geometry: np.ndarray, found: list[Species]
) -> tuple[Species, np.ndarray]:
    """The molecule of a geometry, one of those found or a new one, and its atom order.

    Raises:
        DataError: it is no molecule.
    """
    for species in found:
        if NO_STEREO not in species.identified.molecule.inchikey:
            continue  # bonds alone do not tell it from its mirror image
        order = match_geometry(numbers, geometry, species.identified.graph)
        if order is not None:
            return species, order
    identified = identifier.identify(numbers, geometry)
    for species in found:  # a bond too long for the look above
        if species.identified.molecule.inchikey == identified.molecule.inchikey:
            order = match_order(identified.graph, species.identified.graph)
            if order is not None:
                return species, order
    return Species(identified), np.arange(len(numbers))


def _whole(
    graph: MolecularGraph, order: np.ndarray, rows: np.ndarray, positions: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Whether each of some frames, its atoms taken in this order, has the bonds of the graph, bool ``[n_rows]``."""

    def whole(chosen: np.ndarray) -> np.ndarray:
        return bonds_whole(graph, positions(chosen)[:, order])

    # Where every frame has an order of its own, comparing each with all others would take for ever.
    sample = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int))]
    if not whole(sample).any():
        return np.zeros(len(rows), bool)
    return np.concatenate([whole(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)])
