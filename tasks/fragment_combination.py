"""Task ``fragment_combination``: two known fragments, unseen together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.fragments import FRAGMENTS
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import choose, has_ends, of_length, parse_different
from compbench_jax.splits.task import Task

LENGTHS = range(2, 10)
"""Numbers of carbons n of both sides: 2 … 9."""


@dataclass(frozen=True)
class FragmentCombination(Task):
    """Train on molecules with A at both ends or B at both ends, test on molecules with both A and B; n = 2–9.

    Attributes:
        first: A, a key or mono family of the fragment table; kept as the key.
        second: B, likewise. The two are kept in the order of the fragment table, since theirs has no meaning.
    """

    kind: ClassVar[str] = "fragment_combination"
    principle: ClassVar[str] = "systematicity: known fragments, unseen together"
    question: ClassVar[str] = "Does a potential that knows two fragments generalise to molecules with one of each?"
    trained_on: ClassVar[str] = "{first}…{first} and {second}…{second} at n = 2–9"
    tested_on: ClassVar[str] = "{first}…{second} at n = 2–9"
    paper_name: ClassVar[str] = "Fragment Combination"
    public: ClassVar[str] = "the groups; n from a public review"

    first: str = "NH2"
    second: str = "COOH"

    def __post_init__(self) -> None:
        """Keep both fragments by their keys, in the order of the table."""
        first, second = sorted(parse_different(self.kind, self.first, self.second), key=list(FRAGMENTS).index)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "second", second)

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Symmetric molecules train, mixed ones are held out."""
        return choose(
            graphs,
            train=lambda molecule: (
                (has_ends(molecule, self.first, self.first) or has_ends(molecule, self.second, self.second))
                and of_length(molecule, LENGTHS)
            ),
            ood=lambda molecule: has_ends(molecule, self.first, self.second) and of_length(molecule, LENGTHS),
        )
