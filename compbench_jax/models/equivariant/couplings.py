"""Which products of features and spherical harmonics a convolution takes."""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Couplings:
    """The products that a convolution takes.

    Attributes:
        inputs: degree of each feature.
        outputs: degree of each result.
        paths: (feature, degree of the harmonics, result), ascending by result.
        summed: paths to one result are added up, not laid along the channels.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    paths: tuple[tuple[int, int, int], ...]
    summed: bool = False

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each result in units of the channels: the number of its paths, or 1."""
        counts = tuple(sum(last == i for _, _, last in self.paths) for i in range(len(self.outputs)))
        return tuple(map(bool, counts)) if self.summed else counts


@lru_cache
def coupling_paths(l1_max: int, l2_max: int, l3_max: int) -> tuple[tuple[int, int, int], ...]:
    """Paths (l1, l2, l3) that conserve parity, ordered by (l3, l1, l2) as mace-torch orders them.

    With parity (−1)^l everywhere, a path is allowed if |l1 − l2| ≤ l3 ≤ l1 + l2 and l1 + l2 + l3 is even.
    """
    return tuple(
        (l1, l2, l3)
        for l3 in range(l3_max + 1)
        for l1 in range(l1_max + 1)
        for l2 in range(l2_max + 1)
        if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
    )
