"""Task ``chain_extension``: longer chains than any in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from compbench_jax.molecules.fragments import BARE, FAMILIES
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import LONG, SHORT, choose, has_ends, of_length, parse_family
from compbench_jax.splits.task import Task


@dataclass(frozen=True)
class ChainExtension(Task):
    """Train on a family at n = 2–6, test on the same family at n = 7–13.

    Attributes:
        family: family name, a fragment (its mono family) or two (``"NH2,COOH"``); kept as the family's name.
    """

    kind: ClassVar[str] = "chain_extension"
    principle: ClassVar[str] = "productivity: more of the same unit"
    question: ClassVar[str] = "Does a potential trained on short chains generalise to longer ones?"
    trained_on: ClassVar[str] = "{family} at n = 2–6"
    tested_on: ClassVar[str] = "{family} at n = 7–13"
    paper_name: ClassVar[str] = "Fragment Chain Extension"
    public: ClassVar[str] = "group and n"
    train_lengths: ClassVar[frozenset[int]] = frozenset(SHORT)
    ood_lengths: ClassVar[frozenset[int]] = frozenset(LONG)

    family: str = BARE.family

    def __post_init__(self) -> None:
        """Keep the family by its name."""
        object.__setattr__(self, "family", parse_family(self.kind, self.family))

    @classmethod
    def from_parameters(cls, parameters: Sequence[str]) -> Self:
        """The task of one family, given by name or by its one or two fragments."""
        return cls(",".join(parameters)) if parameters else cls()

    @property
    def name(self) -> str:
        """``chain_extension`` for alkanes, else with the family: ``chain_extension[amino_acid]``."""
        return self.kind if self.family == BARE.family else f"{self.kind}[{self.family.replace(' ', '_')}]"

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """The family's molecules by their n."""
        ends = FAMILIES[self.family]
        return choose(
            graphs,
            train=lambda molecule: has_ends(molecule, *ends) and of_length(molecule, self.train_lengths),
            ood=lambda molecule: has_ends(molecule, *ends) and of_length(molecule, self.ood_lengths),
        )
