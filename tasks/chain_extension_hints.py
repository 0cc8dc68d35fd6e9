"""Task ``chain_extension_hints``: every tested length was trained on, with another fragment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import choose, has_ends, of_length, parse_different
from compbench_jax.splits.task import Task

OUTER = frozenset((2, 3, *range(9, 16)))
"""Numbers of carbons n at which A is trained on and B is tested: 2, 3 and 9 … 15."""

INNER = frozenset(range(4, 9))
"""Numbers of carbons n at which B is trained on and A is tested: 4 … 8."""


@dataclass(frozen=True)
class ChainExtensionHints(Task):
    """Train on A at n = 2, 3, 9–15 and on B at n = 4–8, test on the same two with their lengths swapped.

    Attributes:
        first: A, a key or mono family of the fragment table; kept as the key.
        second: B, likewise.
    """

    kind: ClassVar[str] = "chain_extension_hints"
    principle: ClassVar[str] = "productivity: lengths seen with another fragment"
    question: ClassVar[str] = "Does a length that was seen with one fragment help with another?"
    trained_on: ClassVar[str] = "{first} at n = 2, 3, 9–15 and {second} at n = 4–8"
    tested_on: ClassVar[str] = "{first} at n = 4–8 and {second} at n = 2, 3, 9–15"
    paper_name: ClassVar[str] = "Fragment Chain Extension with hints"
    public: ClassVar[str] = "groups and n, from several public reviews that agree"

    first: str = "OH"
    second: str = "COOH"

    def __post_init__(self) -> None:
        """Keep both fragments by their keys."""
        first, second = parse_different(self.kind, self.first, self.second)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "second", second)

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Each fragment trains at its lengths and is held out at those of the other."""

        def side(first: frozenset[int], second: frozenset[int]) -> Callable[[Molecule], bool]:
            return lambda molecule: (
                (has_ends(molecule, self.first) and of_length(molecule, first))
                or (has_ends(molecule, self.second) and of_length(molecule, second))
            )

        return choose(graphs, train=side(OUTER, INNER), ood=side(INNER, OUTER))
