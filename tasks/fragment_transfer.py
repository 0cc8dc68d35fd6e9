"""Extension task ``fragment_transfer``: a trend learned on one fragment, carried to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.fragments import BARE
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.families import LONG, SHORT, choose, has_ends, of_length, parse_different
from compbench_jax.splits.task import Task


@dataclass(frozen=True)
class FragmentTransfer(Task):
    """Train on alkanes and A at all n and on B at n = 2–6, test on B at n = 7–13.

    Attributes:
        source: A, whose trend with n is shown; a key or mono family of the fragment table, kept as the key.
        target: B, to which it is to be carried; likewise.
    """

    kind: ClassVar[str] = "fragment_transfer"
    principle: ClassVar[str] = "substitution: a trend learned on one fragment, transferred to another"
    question: ClassVar[str] = "Does a trend with chain length, learned on one fragment, generalise to another?"
    trained_on: ClassVar[str] = "alkanes and {source} at all n, {target} at n = 2–6"
    tested_on: ClassVar[str] = "{target} at n = 7–13"

    source: str = "OH"
    target: str = "NH2"

    def __post_init__(self) -> None:
        """Keep both fragments by their keys."""
        source, target = parse_different(self.kind, self.source, self.target)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "target", target)

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Alkanes, A and short B train, long B is held out."""
        return choose(
            graphs,
            train=lambda molecule: (
                has_ends(molecule, BARE.key)
                or has_ends(molecule, self.source)
                or (has_ends(molecule, self.target) and of_length(molecule, SHORT))
            ),
            ood=lambda molecule: has_ends(molecule, self.target) and of_length(molecule, LONG),
        )
