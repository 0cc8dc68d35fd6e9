"""Which molecules are the frames of a file? Bonds are perceived in few of them and compared in all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.labelling.bonds import bonds_whole, changed_bond
from compbench_jax.molecules.identify import Identified, Identifier

ATTEMPTS = 5
"""Frames without a molecule after which the search among the rest is given up: each may cost the time limit."""

REACTED = 0.1
"""A molecule outside the registry with fewer frames than this share of another with the same atoms is its reaction."""

CHUNK = 4096
"""Frames looked at in one go."""


@dataclass(frozen=True, eq=False)
class Species:
    """A molecule found among frames with the same sequence of elements.

    Attributes:
        identified: the molecule and its graph in the atom order of the frames.
        rows: its frames, int64, ascending.
    """

    identified: Identified
    rows: np.ndarray


def find_species(
    identifier: Identifier,
    numbers: np.ndarray,
    energy: np.ndarray,
    positions: Callable[[np.ndarray], np.ndarray],
) -> tuple[list[Species], dict[int, str]]:
    """Tell the molecules of frames with the same sequence of elements apart by their bonds.

    The frame of lowest energy is the least distorted: its bonds are perceived, and every frame in which none of them
    broke or formed is of that molecule. What is left over is treated likewise.

    Args:
        identifier: perceives bonds.
        numbers: atomic numbers common to the frames, int32 ``[n_atoms]``.
        energy: eV, ``[n_frames]``.
        positions: gives the positions of frames by number, Å, float32 ``[n, n_atoms, 3]``.

    Returns:
        the molecules, and for every frame that is of none of them the reason.
    """
    left = np.arange(len(energy))
    tried: dict[int, str] = {}
    found: list[Species] = []
    failures = 0
    while failures < ATTEMPTS:
        open_ = np.array([k for k in left if k not in tried], np.int64)
        if not len(open_):
            break
        best = int(open_[np.argmin(energy[open_])])
        geometry = positions(np.array([best]))[0].astype(np.float64)
        try:
            identified = identifier.identify(numbers, geometry)
        except DataError as error:
            tried[best] = str(error)
            failures += 1
            continue
        reason = changed_bond(identified.graph, geometry)
        if reason:
            tried[best] = reason
            failures += 1
            continue
        whole = np.concatenate(
            [
                bonds_whole(identified.graph, positions(left[start : start + CHUNK]))
                for start in range(0, len(left), CHUNK)
            ]
        )
        whole |= left == best  # both comparisons agree on it but for the last digit, and the search must end
        found.append(Species(identified, left[whole]))
        left = left[~whole]
    largest = max((len(species.rows) for species in found), default=0)
    kept = [s for s in found if s.identified.molecule.family or len(s.rows) >= REACTED * largest]
    main = max(kept, key=lambda species: len(species.rows), default=None)
    dropped = [int(k) for s in found if s not in kept for k in s.rows] + left.tolist()
    reasons = {}
    for k in sorted(dropped):
        change = changed_bond(main.identified.graph, positions(np.array([k]))[0].astype(np.float64)) if main else None
        reasons[k] = change or tried.get(k) or next(iter(tried.values()))
    return kept, reasons
