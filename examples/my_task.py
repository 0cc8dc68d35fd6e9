"""A task of one's own: train on small molecules, test on larger ones."""

from dataclasses import dataclass

from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.tasks import Task


@dataclass(frozen=True)
class SmallToLarge(Task):
    """Molecules of any kind, split by their number of atoms."""

    kind = "small_to_large"
    principle = "productivity: size"
    question = "Does a potential of small molecules know larger ones?"
    trained_on = "at most {atoms} atoms"
    tested_on = "more than {atoms} atoms"

    atoms: int = 14

    def select(self, graphs):
        """Which molecules are trained on, and which are held out."""
        small = tuple(k for k, graph in enumerate(graphs) if len(graph.numbers) <= self.atoms)
        return MoleculeSplit(small, tuple(k for k in range(len(graphs)) if k not in small))
