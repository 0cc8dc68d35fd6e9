"""Task ``fragment_duplication``: the same fragment twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.fragments import BARE
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import choose, has_ends, parse_fragment
from compbench_jax.splits.task import Task


@dataclass(frozen=True)
class FragmentDuplication(Task):
    """Train on alkanes and on molecules with one fragment A, test on molecules with A at both ends; all n.

    Attributes:
        fragment: A, a key or mono family of the fragment table; kept as the key.
    """

    kind: ClassVar[str] = "fragment_duplication"
    principle: ClassVar[str] = "productivity: the same fragment twice"
    question: ClassVar[str] = "Does a potential that knows a fragment hold for molecules with two of it?"
    trained_on: ClassVar[str] = "alkanes and {fragment}, all n"
    tested_on: ClassVar[str] = "{fragment}…{fragment}, all n"

    fragment: str = "COOH"

    def __post_init__(self) -> None:
        """Keep the fragment by its key."""
        object.__setattr__(self, "fragment", parse_fragment(self.kind, self.fragment))

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """None or one A trains, two are held out."""
        return choose(
            graphs,
            train=lambda molecule: has_ends(molecule, BARE.key) or has_ends(molecule, self.fragment),
            ood=lambda molecule: has_ends(molecule, self.fragment, self.fragment),
        )
