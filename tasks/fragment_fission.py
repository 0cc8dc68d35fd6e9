"""Task ``fragment_fission``: a known fragment taken apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.errors import TaskError
from compbench_jax.molecules.fragments import FRAGMENTS
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import choose, has_ends, of_length, parse_fragment
from compbench_jax.splits.task import Task
from compbench_jax.tasks.fragment_duplication import LENGTHS, FragmentDuplication
from compbench_jax.tasks.fragment_fusion import CARBONYL


@dataclass(frozen=True)
class FragmentFission(Task):
    """Train as ``fragment_duplication`` does, test on the two fragments that the trained one consists of; n = 4–9.

    A run of ``fragment_duplication`` is evaluated on this task as it is: nothing is trained again.

    Attributes:
        fragment: the trained fragment, COOH or CONH2; kept as the key.
    """

    kind: ClassVar[str] = "fragment_fission"
    principle: ClassVar[str] = "systematicity: a known fragment taken apart"
    question: ClassVar[str] = "Does a potential that knows a fragment generalise to the two fragments it consists of?"
    trained_on: ClassVar[str] = "{fragment} at n = 4–9 (the runs of fragment_duplication)"
    tested_on: ClassVar[str] = "{part} and CHO at n = 4–9"
    paper_name: ClassVar[str] = "Fragment Fission"
    public: ClassVar[str] = "the groups; that there is no training"
    inferred: ClassVar[str] = "n = 4–9, as in fragment_duplication"
    trained_as: ClassVar[str] = FragmentDuplication.kind

    fragment: str = "COOH"

    def __post_init__(self) -> None:
        """Keep the fragment by its key."""
        object.__setattr__(self, "fragment", parse_fragment(self.kind, self.fragment))
        _ = self.part

    @property
    def part(self) -> str:
        """Key of the fragment that makes up this one with a carbonyl."""
        for key, row in FRAGMENTS.items():
            if row.right and FRAGMENTS[self.fragment].right == f"C(=O){row.right}":
                return key
        raise TaskError(
            f"{self.kind}: {self.fragment} does not consist of two fragments of the table: use COOH or CONH2"
        )

    @property
    def new_fragments(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Both parts: each is half of the trained fragment."""
        return ((self.part, (self.fragment,)), (CARBONYL, (self.fragment,)))

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """The whole fragment trains, its parts are held out."""
        return choose(
            graphs,
            train=lambda molecule: has_ends(molecule, self.fragment) and of_length(molecule, LENGTHS),
            ood=lambda molecule: (
                (has_ends(molecule, self.part) or has_ends(molecule, CARBONYL)) and of_length(molecule, LENGTHS)
            ),
        )
