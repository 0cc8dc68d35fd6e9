"""Subtask ``proximity``: do errors on combined fragments come from fragments that touch?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.fragments import FRAGMENTS
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.tasks.fragment_combination import FragmentCombination


@dataclass(frozen=True)
class Proximity(FragmentCombination):
    """The split of ``fragment_combination``, reported by the number of CH2 between the ends."""

    kind: ClassVar[str] = "proximity"
    principle: ClassVar[str] = "systematicity, by distance"
    question: ClassVar[str] = "Do the errors on two combined fragments come from fragments that touch?"
    tested_on: ClassVar[str] = "{first}…{second}, all n, by the number of CH2 between them"
    same_split_as: ClassVar[str] = FragmentCombination.kind

    def groups(self, graphs: Sequence[MolecularGraph]) -> dict[int, str]:
        """OOD molecules by the number of CH2 between their ends (``"1 CH2"``), the closest first."""
        between = {index: methylenes_between(graphs[index].molecule) for index in self.molecules(graphs).ood}
        return {index: f"{between[index]} CH2" for index in sorted(between, key=lambda index: (between[index], index))}


def methylenes_between(molecule: Molecule) -> int:
    """Carbons of a registry molecule that belong to neither of its end fragments."""
    n, ends = molecule.n, molecule.ends
    if n is None or ends is None:
        raise ValueError(f"{molecule.name} is not a molecule of the registry")
    return n - sum(FRAGMENTS[end].carbons for end in ends)
