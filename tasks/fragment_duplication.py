"""Task ``fragment_duplication``: the same fragment twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import choose, has_ends, of_length, parse_fragment
from compbench_jax.splits.task import Task

LENGTHS = range(4, 10)
"""Numbers of carbons n of both sides: 4 … 9."""


@dataclass(frozen=True)
class FragmentDuplication(Task):
    """Train on molecules with one fragment A alone, test on molecules with A at both ends; n = 4–9 on both sides.

    Attributes:
        fragment: A, a key or mono family of the fragment table; kept as the key.
    """

    kind: ClassVar[str] = "fragment_duplication"
    principle: ClassVar[str] = "productivity: the same fragment twice"
    question: ClassVar[str] = "Does a potential that knows a fragment generalise to molecules with two of it?"
    trained_on: ClassVar[str] = "{fragment} at n = 4–9"
    tested_on: ClassVar[str] = "{fragment}…{fragment} at n = 4–9"
    paper_name: ClassVar[str] = "Fragment Duplication"
    public: ClassVar[str] = "the groups, carboxylic acids only, six training molecules"
    inferred: ClassVar[str] = "n = 4–9, the lengths at which other tasks of the paper use both families"

    fragment: str = "COOH"

    def __post_init__(self) -> None:
        """Keep the fragment by its key."""
        object.__setattr__(self, "fragment", parse_fragment(self.kind, self.fragment))

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """One A trains, two are held out."""
        return choose(
            graphs,
            train=lambda molecule: has_ends(molecule, self.fragment) and of_length(molecule, LENGTHS),
            ood=lambda molecule: has_ends(molecule, self.fragment, self.fragment) and of_length(molecule, LENGTHS),
        )
