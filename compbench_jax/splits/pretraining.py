"""What a potential may be trained on before a task: everything in the store that the task has nothing to do with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.controls import MadeOfTask
from compbench_jax.splits.task import Task


@dataclass(frozen=True)
class Pretraining(MadeOfTask, Task, control=True):
    """The union of the families that a task neither trains on nor tests, for runs that are then fine-tuned on the task.

    A run on this task may be given to ``train.py --task TASK --init-from RUN``: it has seen none of the task's OOD
    molecules, nor any molecule of their families. What it has seen is other molecules of the same elements, and the
    fragments that families share; the OOD test of this task, that of TASK itself, says what that alone is worth.

    Attributes:
        task: the task that comes after.
    """

    kind: ClassVar[str] = "pretraining"
    principle: ClassVar[str] = "preparation"
    question: ClassVar[str] = "How large is the error on a task's OOD molecules after training on all other families?"
    trained_on: ClassVar[str] = "all families that the task has no molecule of"
    tested_on: ClassVar[str] = "the task's OOD molecules"

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Molecules of other families; a molecule of two families counts as one of the task's if either is."""
        chosen = self.task.molecules(graphs)
        own = [graphs[index].molecule for index in (*chosen.train, *chosen.ood)]
        families, keys = {molecule.family for molecule in own}, {molecule.inchikey for molecule in own}
        keys |= {graph.molecule.inchikey for graph in graphs if graph.molecule.family in families}
        others = [
            index
            for index, graph in enumerate(graphs)
            if graph.molecule.family is not None and graph.molecule.inchikey not in keys
        ]
        return MoleculeSplit(tuple(others), chosen.ood)
