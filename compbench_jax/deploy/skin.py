"""A neighbour list with a skin, good until an atom has moved half of it (Verlet 1967, Phys. Rev. 159, 98)."""

import numpy as np

from compbench_jax.batching.neighbours import EdgeLists, neighbour_lists
from compbench_jax.errors import CompBenchError
from compbench_jax.store.frames import Frames


class SkinList:
    """Neighbours of one molecule as its atoms move.

    Pairs within ``cutoff + skin`` are kept; of these, those within the cutoff at the present positions are returned.
    The edges are therefore exactly those of a new search, at the cost of a distance a kept pair.

    Args:
        cutoff: Å.
        skin: Å, 0 or more.

    Attributes:
        searches: how often all pairs were looked at.
    """

    def __init__(self, cutoff: float, skin: float):
        if not skin >= 0:
            raise CompBenchError(f"the skin is {skin} Å: give 0 or more")
        self.cutoff, self.skin = cutoff, skin
        self.searches = 0
        self._numbers = np.zeros(0, np.int32)
        self._at = np.zeros((0, 3))
        self._senders = self._receivers = np.zeros(0, np.int32)

    def edges(self, frames: Frames) -> EdgeLists:
        """Directed edges of a single frame, as :func:`compbench_jax.batching.neighbours.neighbour_lists` finds them."""
        positions = frames.positions.astype(np.float64)
        if not self._holds(frames.numbers, positions):
            found = neighbour_lists(frames, self.cutoff + self.skin)
            self._senders, self._receivers = found.senders, found.receivers
            self._numbers, self._at = np.array(frames.numbers), positions
            self.searches += 1
        # The same sum in the same order as in the search, so that both decide alike to the last bit.
        squared = np.zeros(len(self._senders))
        for axis in range(3):
            difference = positions[self._receivers, axis] - positions[self._senders, axis]
            squared += difference * difference
        near = squared < self.cutoff * self.cutoff
        return EdgeLists(self._senders[near], self._receivers[near], np.array([0, int(near.sum())]))

    def _holds(self, numbers: np.ndarray, positions: np.ndarray) -> bool:
        """Whether no pair outside the list can be within the cutoff."""
        if not np.array_equal(numbers, self._numbers) or not np.isfinite(positions).all():
            return False
        moved = np.sqrt(((positions - self._at) ** 2).sum(axis=1)).max(initial=0.0)
        return bool(moved <= self.skin / 2)
