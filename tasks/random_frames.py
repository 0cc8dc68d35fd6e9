"""Task ``random_frames``: frames at random, the usual test of interpolation (MD17), for a data set of any molecules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.errors import TaskError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit, check_split
from compbench_jax.splits.own import random_frames
from compbench_jax.splits.split import PARTS, Split
from compbench_jax.splits.task import Task
from compbench_jax.store.store import FrameStore

TEST = 0.2
"""Fraction of each molecule's frames that test, half as ID, half as OOD; a tenth of the others tune."""


@dataclass(frozen=True)
class RandomFrames(Task):
    """Frames of every molecule in all four sets, at random: nothing is held out. No task of the benchmark.

    Frames that follow each other in a trajectory are alike, so its errors are lower than those of new trajectories.

    Attributes:
        seed: of the random choice.
    """

    kind: ClassVar[str] = "random_frames"
    principle: ClassVar[str] = "none: interpolation between frames"
    question: ClassVar[str] = "How large is the error on other frames of the molecules that are trained on?"
    trained_on: ClassVar[str] = "most frames of every molecule, at random"
    tested_on: ClassVar[str] = "others, which differ from the ID test by chance only"
    molecule_disjoint: ClassVar[bool] = False

    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative seed."""
        if self.seed < 0:
            raise TaskError(f"random_frames: seed {self.seed} is negative: give 0 or more")

    @property
    def name(self) -> str:
        """``random_frames``, with the seed unless it is 0."""
        return f"{self.kind}[{self.seed}]" if self.seed else self.kind

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Raises TaskError: frames are chosen, not molecules."""
        raise TaskError(f"{self.name} chooses frames, not molecules: it has no controls")

    def split(self, store: FrameStore) -> Split:
        """The four sets of frames.

        Raises:
            TaskError: too few frames for four sets.
        """
        parts = random_frames(store, self.seed, TEST)
        train, validation, id_test, ood_test = (parts[part] for part in PARTS)
        split = Split(self.name, train, validation, id_test, ood_test, molecule_disjoint=False)
        check_split(store, split)
        return split
