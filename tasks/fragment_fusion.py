"""Task ``fragment_fusion``: two known fragments that become a new one on one carbon."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import (
    choose,
    fused_with_carbonyl,
    has_ends,
    of_length,
    parse_different,
    parse_fragment,
)
from compbench_jax.splits.task import Task

CARBONYL = "CHO"
"""Key of the fragment that the other one is fused with."""

LENGTHS = range(4, 11)
"""Numbers of carbons n of both sides: 4 … 10."""


@dataclass(frozen=True)
class FragmentFusion(Task):
    """Train on A, on aldehydes and on molecules with both, test on A bound to the carbonyl carbon; n = 4–10.

    The fused fragment (OH gives COOH, NH2 gives CONH2) is new to the potential on purpose.

    Attributes:
        fragment: A, a key or mono family of the fragment table; kept as the key.
    """

    kind: ClassVar[str] = "fragment_fusion"
    principle: ClassVar[str] = "systematicity: known fragments fused into a new one"
    question: ClassVar[str] = "Does a potential that knows two fragments generalise to the fragment that they form?"
    trained_on: ClassVar[str] = "{fragment}, CHO and {fragment}…CHO at n = 4–10"
    tested_on: ClassVar[str] = "{fused} at n = 4–10"
    paper_name: ClassVar[str] = "Fragment Fusion"
    public: ClassVar[str] = "the groups; n from a public review that cites the paper"
    inferred: ClassVar[str] = '"molecules with both groups" are hydroxy aldehydes'

    fragment: str = "OH"

    def __post_init__(self) -> None:
        """Keep the fragment by its key."""
        object.__setattr__(self, "fragment", parse_fragment(self.kind, self.fragment))
        fused_with_carbonyl(self.kind, self.fragment)

    @property
    def fused(self) -> str:
        """Key of the fragment that A and the carbonyl form."""
        return fused_with_carbonyl(self.kind, self.fragment)

    @property
    def new_fragments(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The fused fragment, made of A and CHO."""
        return ((self.fused, (self.fragment, CARBONYL)),)

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """The parts train, the fused fragment is held out."""
        return choose(
            graphs,
            train=self.trains,
            ood=lambda molecule: has_ends(molecule, self.fused) and of_length(molecule, LENGTHS),
        )

    def trains(self, molecule: Molecule) -> bool:
        """Whether the molecule has A, CHO or both, and no other fragment."""
        parts = (has_ends(molecule, *ends) for ends in ((self.fragment,), (CARBONYL,), (self.fragment, CARBONYL)))
        return any(parts) and of_length(molecule, LENGTHS)


@dataclass(frozen=True)
class FragmentFusionHints(FragmentFusion):
    """``fragment_fusion`` with a worked example in training: another fragment B, and B fused with the carbonyl.

    Attributes:
        fragment: A, as in ``fragment_fusion``.
        hint: B, likewise.
    """

    kind: ClassVar[str] = "fragment_fusion_hints"
    question: ClassVar[str] = "Does an example of the fusion, with another fragment, help?"
    trained_on: ClassVar[str] = "{fragment}, CHO, {fragment}…CHO, {hint} and {fused_hint} at n = 4–10"
    paper_name: ClassVar[str] = "Fragment Fusion with hints"
    public: ClassVar[str] = "amides are added; amines from public reviews"

    hint: str = "NH2"

    def __post_init__(self) -> None:
        """Keep both fragments by their keys."""
        super().__post_init__()
        first, second = parse_different(self.kind, self.fragment, self.hint)
        object.__setattr__(self, "fragment", first)
        object.__setattr__(self, "hint", second)
        fused_with_carbonyl(self.kind, second)

    @property
    def fused_hint(self) -> str:
        """Key of the fragment that B and the carbonyl form."""
        return fused_with_carbonyl(self.kind, self.hint)

    def trains(self, molecule: Molecule) -> bool:
        """As in ``fragment_fusion``; B and its fused fragment too."""
        hints = (has_ends(molecule, self.hint), has_ends(molecule, self.fused_hint))
        return super().trains(molecule) or (any(hints) and of_length(molecule, LENGTHS))
