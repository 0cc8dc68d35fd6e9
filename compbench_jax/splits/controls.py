"""Controls of a task: what of an OOD error is size, data, lack of labels, or contacts that no single molecule has."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from compbench_jax.errors import TaskError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit, check_split
from compbench_jax.splits.frames import frames_of, oracle_split
from compbench_jax.splits.split import Split
from compbench_jax.splits.task import Task
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True)
class MadeOfTask:
    """What controls and preparations of a task share.

    Attributes:
        task: what it is made of.
    """

    kind: ClassVar[str]

    task: Task

    def __post_init__(self) -> None:
        """Refuse what is made of a task itself.

        Raises:
            TaskError: the task is a control or a preparation.
        """
        if isinstance(self.task, MadeOfTask):
            raise TaskError(f"{self.kind}({self.task.name}): a control of a control: name the task itself")

    @property
    def name(self) -> str:
        """``KIND(TASK)``."""
        return f"{self.kind}({self.task.name})"

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """The task's two sides."""
        return self.task.molecules(graphs)


@dataclass(frozen=True)
class ControlRandom(MadeOfTask, Task, control=True):
    """The molecules of a task, assigned to train and OOD at random: as many to each side, without a rule.

    The ratio OOD/ID of this control holds for any unseen molecule; what a task has above it is
    compositional. Sides have the task's numbers of *molecules*, and so of frames, since the sets of one store
    are equally long. A random split may fail the audit's coverage (an element only in OOD); the audit says
    so, and another seed helps.

    Attributes:
        task: whose molecules these are.
        seed: of the random split.
    """

    kind: ClassVar[str] = "control_random"
    principle: ClassVar[str] = "control: size"
    question: ClassVar[str] = "How large is the error of the same potential on unseen molecules of a random split?"
    trained_on: ClassVar[str] = "as many of the task's molecules, at random"
    tested_on: ClassVar[str] = "the task's other molecules"

    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be split at random."""
        super().__post_init__()
        if self.seed < 0:
            raise TaskError(f"{self.kind}({self.task.name}): seed {self.seed} is negative: give 0 or more")

    @property
    def name(self) -> str:
        """``control_random(TASK)``, with the seed unless it is 0."""
        return f"{self.kind}({self.task.name}{f',seed={self.seed}' if self.seed else ''})"

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Split the task's molecules. Records of one InChIKey stay together, since they are one molecule."""
        chosen = self.task.molecules(graphs)
        records: dict[str, list[int]] = {}
        for index in (*chosen.train, *chosen.ood):
            records.setdefault(graphs[index].molecule.inchikey, []).append(index)
        # By InChIKey, not by place: the split must not depend on the order of the molecules in the store.
        decks = [records[key] for key in sorted(records)]
        train: list[int] = []
        ood: list[int] = []
        for place in np.random.default_rng(self.seed).permutation(len(decks)):
            deck = decks[place]
            (train if len(train) + len(deck) <= len(chosen.train) else ood).extend(deck)
        return MoleculeSplit(tuple(sorted(train)), tuple(sorted(ood)))


@dataclass(frozen=True)
class Oracle(MadeOfTask, Task, control=True):
    """A task that trains on frames of the OOD molecules too: the error to be had once no molecule is unseen.

    Not molecule-disjoint, by definition and by declaration. Training: primary frames of both sides.
    Validation and ID test: the task's own. OOD test: secondary frames of the OOD molecules without their
    tuning frames, because the task's OOD test (their primary frames) is trained on here. Both are drawn from
    the same ensemble by disjoint segments, so the oracle's OOD error may be compared with the task's as it is;
    to compare both on the very same frames, evaluate the task's run on the oracle's split as well: its OOD
    test is as new to that run. More is trained on, too: at equal epochs the oracle takes more steps, at equal
    steps it sees each frame less often.

    Attributes:
        task: whose oracle this is.
    """

    kind: ClassVar[str] = "oracle"
    principle: ClassVar[str] = "control: data"
    question: ClassVar[str] = "How large is the error of the same potential trained on the OOD molecules too?"
    trained_on: ClassVar[str] = "the task's molecules and its OOD molecules"
    tested_on: ClassVar[str] = "unseen (secondary) frames of the task's OOD molecules"
    molecule_disjoint: ClassVar[bool] = False

    def split(self, store: FrameStore) -> Split:
        """The oracle's four sets of frames; their ``molecule_disjoint`` is False."""
        return oracle_split(store, self.name, self.molecules(store.graphs))


@dataclass(frozen=True)
class FewShot(MadeOfTask, Task, control=True):
    """A task that trains on a few frames of each OOD molecule too: how many labels close the gap?

    Its test sets are those of the :class:`Oracle`, whose limit it is: with as many frames as there are it trains on the
    same. Frames are evenly spaced over the primary trajectories of a molecule.

    Attributes:
        task: whose OOD molecules these are.
        frames: labelled frames of each.
    """

    kind: ClassVar[str] = "few_shot"
    principle: ClassVar[str] = "control: labels"
    question: ClassVar[str] = (
        "How large is the error once {frames} labelled frames of each OOD molecule are trained on?"
    )
    trained_on: ClassVar[str] = "the task's molecules and {frames} frames of each OOD molecule"
    tested_on: ClassVar[str] = Oracle.tested_on
    molecule_disjoint: ClassVar[bool] = False

    frames: int = 20

    def __post_init__(self) -> None:
        """Refuse a control of a control, and no frames."""
        super().__post_init__()
        if self.frames < 1:
            raise TaskError(f"{self.kind}({self.task.name}): frames {self.frames}: give 1 or more")

    @property
    def name(self) -> str:
        """``few_shot(TASK,frames=20)``."""
        return f"{self.kind}({self.task.name},frames={self.frames})"

    def split(self, store: FrameStore) -> Split:
        """The four sets of frames; their ``molecule_disjoint`` is False."""
        return oracle_split(store, self.name, self.molecules(store.graphs), self.frames)


@dataclass(frozen=True)
class Contacts(MadeOfTask, Task, control=True):
    """A task that trains on pairs of its training molecules in contact, too: what do unseen contacts cost?

    No molecule of a pair is one of the OOD molecules, whose environments stay unseen. What training gains is what their
    fragments do to each other when they are close. Validation, ID test and OOD test are the task's own. At equal steps
    it sees each frame of a single molecule less often. The data set must hold pairs
    (``compbench generate --task TASK --pairs FRAMES``).

    Attributes:
        task: whose training molecules these are.
    """

    kind: ClassVar[str] = "contacts"
    principle: ClassVar[str] = "control: contacts"
    question: ClassVar[str] = "How large is the error once close pairs of the training molecules are trained on?"
    trained_on: ClassVar[str] = "the task's molecules, alone and in close pairs"
    tested_on: ClassVar[str] = "the task's OOD molecules"

    def split(self, store: FrameStore) -> Split:
        """The task's four sets of frames, the primary frames of the pairs added to train.

        Raises:
            TaskError: as :meth:`Task.split`, or the data set has no pairs of training molecules.
        """
        alone = self.task.split(store)
        trained = {store.graphs[m].molecule.smiles for m in np.unique(store.molecule[alone.train])}
        parts = [graph.molecule.parts for graph in store.graphs]
        pairs = [m for m, molecules in enumerate(parts) if len(molecules) > 1 and trained.issuperset(molecules)]
        if not pairs:
            raise TaskError(
                f"{self.name}: {store.path} has no pairs of the training molecules: use data/pairs, or generate a data "
                f"set with --task {self.task.name} --pairs 30"
            )
        train = np.sort(np.concatenate([alone.train, frames_of(store, pairs, "primary")]))
        split = replace(alone, task=self.name, train=train)
        check_split(store, split)
        return split
