"""What the suites hold: cells, each one potential on one task with one seed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from compbench_jax.errors import CompBenchError
from compbench_jax.training.run_folder import default_folder

Kind = Literal["train", "pretrain", "fit", "calculator", "foundation", "convert", "again"]

TASKS = ("chain_extension", "fragment_fusion", "fragment_duplication", "fragment_combination")
HINTS = ("chain_extension_hints", "fragment_fusion_hints")
AGAIN = {"fragment_fission": "fragment_duplication"}
"""Fission is tested with the runs of fragment_duplication, which have its training molecules."""

BASELINES = ("composition", "classical", "nearest")
POTENTIALS = ("schnet", "painn", "dimenet", "gemnet", "equiformer_v2", "mace", "nequip")
"""The seven potentials of the paper."""


@dataclass(frozen=True)
class Cell:
    """One potential on one task.

    Attributes:
        kind: ``train``: gradient steps; ``pretrain``: the same for other cells to start from, not evaluated; ``fit``:
            a closed form; ``calculator`` and ``foundation``: not trained here; ``convert``: the weights of a foundation
            potential made a run of ours; ``again``: the run of another cell, evaluated on this task (too).
        task: as ``--task`` takes it; empty for ``convert``.
        potential: preset, calculator or foundation potential.
        seed: the first seed.
        seeds: members trained together from there.
        options: further words of the command line of ``train.py``.
        parent: name of the cell whose run this one starts from (``train``) or evaluates (``again``).
        label: stands for the potential in the name of the cell, where one potential is trained in several ways.
        frames: most frames of each test set; None: all.
    """

    kind: Kind
    task: str
    potential: str
    seed: int = 0
    seeds: int = 1
    options: tuple[str, ...] = ()
    parent: str = ""
    label: str = ""
    frames: int | None = None

    @property
    def name(self) -> str:
        """Name of the cell's folders."""
        if self.kind == "convert":
            return self.potential
        return default_folder(self.task, self.label or self.potential, self.seed).name

    @property
    def takes_steps(self) -> bool:
        """Whether it is trained by gradient steps, for the minutes of its suite."""
        return self.kind in ("train", "pretrain")


@dataclass(frozen=True)
class Pretrained:
    """Settings of ``train.py`` for a foundation potential that converts to a run of ours.

    Attributes:
        fine_tuning: from its converted weights.
        from_random: of the same network from random parameters; None: not trained so.
    """

    fine_tuning: tuple[str, ...]
    from_random: tuple[str, ...] | None


@dataclass(frozen=True)
class Variant:
    """A preset trained with settings of its own, in as many steps as the preset itself.

    Attributes:
        potential: the preset.
        options: words of the command line of ``train.py``. Results tell variants apart by the name of the potential, so
            options should change it, as ``--prior`` does.
        tasks: that it is trained on.
    """

    potential: str
    options: tuple[str, ...]
    tasks: tuple[str, ...] = TASKS


@dataclass(frozen=True)
class Suite:
    """A grid.

    Attributes:
        about: what it is for, one line.
        data: folder of the store.
        tasks: trained and evaluated, each by each potential.
        minutes: of training a cell, compilation and validation not counted, on the cores of one worker (on a CPU, of
            their processor time).
        potentials: presets that take gradient steps.
        baselines: presets with a closed form.
        calculators: ASE calculators, as ``--calculator`` takes them.
        foundations: as ``--foundation`` takes them.
        pretrained: foundation potentials that convert to runs of ours: evaluated as they are, fine-tuned, and trained
            from random parameters.
        pretrain: task and potential that is pre-trained on all families that the task has no molecule of
            (``pretraining(TASK)``), then evaluated as it is and fine-tuned with :data:`FINE_TUNING`.
        variants: presets with settings of their own, by the label that stands for the preset in names of cells.
        also: further cells, task and preset, such as a few-shot task; in as many steps as the task itself.
        seeds: of every potential that takes gradient steps.
        together: train the seeds as members of one run (a GPU has room for them), not as cells of their own.
        controlled: potentials also trained on both controls of every task; seeds that are cells of their own each on
            another random split, members of one run on one.
        again: task → task whose runs are evaluated on it too, since both have the same training molecules.
        frames: most frames of each test set, evenly over its molecules; None: all.
    """

    about: str
    data: str
    tasks: tuple[str, ...]
    minutes: float
    potentials: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    calculators: tuple[str, ...] = ()
    foundations: tuple[str, ...] = ()
    pretrained: Mapping[str, Pretrained] = field(default_factory=dict)
    pretrain: tuple[tuple[str, str], ...] = ()
    variants: Mapping[str, Variant] = field(default_factory=dict)
    also: tuple[tuple[str, str], ...] = ()
    seeds: int = 1
    together: bool = False
    controlled: tuple[str, ...] = ()
    again: Mapping[str, str] = field(default_factory=dict)
    frames: int | None = None

    def cells(self) -> tuple[Cell, ...]:
        """All cells: cheap ones first, then one seed of everything and its controls, then the next seed."""
        return tuple(replace(cell, frames=self.frames) for cell in self._cells())

    def _cells(self) -> Iterator[Cell]:
        yield from (Cell("convert", "", name) for name in self.pretrained)
        for task in (*self.tasks, *self.again):
            yield from (Cell("calculator", task, name) for name in self.calculators)
            yield from (Cell("foundation", task, name) for name in self.foundations)
            yield from (Cell("again", task, name, parent=name, label=f"{name}-zero-shot") for name in self.pretrained)
        for task in self.tasks:
            for name in self.baselines:
                yield from self._with_again(Cell("fit", task, name))
        members = self.seeds if self.together else 1
        for seed in range(1) if self.together else range(self.seeds):
            for task in self.tasks:
                for name in self.potentials:
                    yield from self._with_again(Cell("train", task, name, seed, members))
                for label, variant in self.variants.items():
                    if task in variant.tasks:
                        cell = Cell("train", task, variant.potential, seed, members, variant.options, label=label)
                        yield from self._with_again(cell)
                for name, settings in self.pretrained.items():
                    label = f"{name}-fine-tuned"
                    yield from self._with_again(
                        Cell("train", task, name, seed, members, settings.fine_tuning, name, label)
                    )
                    if settings.from_random is not None:
                        yield from self._with_again(Cell("train", task, name, seed, members, settings.from_random))
            for task, name in self.pretrain:
                before = Cell("pretrain", f"pretraining({task})", name, seed, members)
                yield before
                yield Cell("again", task, name, seed, members, parent=before.name, label=f"{name}-zero-shot")
                yield Cell("train", task, name, seed, members, FINE_TUNING, before.name, f"{name}-fine-tuned")
            for task in self.tasks:
                for name in self.controlled:
                    for control in (random_control(task, seed), f"oracle({task})"):
                        yield Cell("train", control, name, seed, members)
            yield from (Cell("train", task, name, seed, members) for task, name in self.also)

    def _with_again(self, cell: Cell) -> Iterator[Cell]:
        """A cell, and its evaluation on the tasks that share its training molecules."""
        yield cell
        for other, of in self.again.items():
            if of == cell.task:
                yield replace(cell, kind="again", task=other, options=(), parent=cell.name)


def random_control(task: str, seed: int) -> str:
    """The random split of a task's molecules, another for each seed: one alone may hold out hard molecules."""
    return f"control_random({task},seed={seed})" if seed else f"control_random({task})"


FINE_TUNING = ("--optimiser.learning-rate", "1e-3")
"""Settings of ``train.py`` for fine-tuning a potential that was pre-trained here: about a tenth of the usual rates."""

SO3LR = {"so3lr": Pretrained(("--optimiser.learning-rate", "5e-4"), ())}
"""The rate of its fine-tuning was chosen by ``benchmarks/learning_rates.sh``."""

PRIOR = ("--prior", "classical")

FEW_SHOT = tuple(
    (f"few_shot({task},frames={frames})", name)
    for task, name in (("fragment_duplication", "mace"), ("fragment_fusion", "mace"), ("fragment_fusion", "painn"))
    for frames in (1, 5, 20, 100)
)
"""From hardly any labelled frames of each OOD molecule to a third of those that the oracle has."""

SUITES: Mapping[str, Suite] = {
    "mini": Suite(
        "the seven potentials (small), the baselines and SO3LR on the four tasks and fission, on the mini set",
        "data/mini",
        TASKS,
        2.0,
        POTENTIALS,
        BASELINES,
        ("gfn1-xtb",),
        pretrained=SO3LR,
        again=AGAIN,
    ),
    "cpu": Suite(
        "the four tasks, fission and the hints, two seeds; controls, prior, few-shot training; SO3LR in three forms",
        "data/standard",
        (*TASKS, *HINTS),
        4.0,
        POTENTIALS,
        BASELINES,
        ("gfn1-xtb",),
        foundations=("ani-1x",),
        pretrained=SO3LR,
        pretrain=(("chain_extension", "mace"),),
        variants={f"{name}-prior": Variant(name, PRIOR) for name in ("mace", "painn")},
        also=FEW_SHOT,
        seeds=2,
        controlled=("mace", "painn"),
        again=AGAIN,
        frames=1000,
    ),
    "accurate": Suite(
        "the most accurate potentials on acids, with as many training frames as the paper has; forty minutes each",
        "data/acids",
        ("fragment_duplication",),
        40.0,
        ("mace", "nequip", "painn"),
        pretrained={"so3lr": replace(SO3LR["so3lr"], from_random=None)},
        variants={"mace-prior": Variant("mace", PRIOR, ("fragment_duplication",))},
        again=AGAIN,
        frames=1000,
    ),
    "accurate_chain": Suite(
        "the same potentials on alkanes, which need less: twelve minutes each",
        "data/standard",
        ("chain_extension",),
        12.0,
        ("mace", "nequip", "painn"),
        variants={"mace-prior": Variant("mace", PRIOR)},
        frames=1000,
    ),
    "accurate_standard": Suite(
        "the same potentials on fusion and combination, with the frames of data/standard; forty minutes each",
        "data/standard",
        ("fragment_fusion", "fragment_combination"),
        40.0,
        ("mace", "nequip", "painn"),
        variants={"mace-prior": Variant("mace", PRIOR)},
        frames=1000,
    ),
    "contacts": Suite(
        "MACE on di-acids, without and with close pairs of mono-acids in training, in equal steps",
        "data/pairs",
        ("fragment_duplication", "contacts(fragment_duplication)"),
        4.0,
        ("mace",),
        frames=1000,
    ),
    "ensemble": Suite(
        "three seeds of MACE together: does their standard deviation notice an unseen fragment?",
        "data/standard",
        ("fragment_fusion", "fragment_duplication"),
        12.0,
        ("mace",),
        seeds=3,
        together=True,
        again=AGAIN,
        frames=1000,
    ),
    "paper": Suite(
        "the published sizes on a GPU, five seeds at once",
        "data/standard",
        (*TASKS, *HINTS),
        60.0,
        tuple(f"{name}-paper" for name in POTENTIALS),
        seeds=5,
        together=True,
        again=AGAIN,
    ),
}


def get_suite(name: str) -> Suite:
    """A suite by its name.

    Raises:
        CompBenchError: there is none.
    """
    if name not in SUITES:
        raise CompBenchError(f"there is no suite {name!r}: choose one of {', '.join(SUITES)}")
    return SUITES[name]


def choose(cells: tuple[Cell, ...], patterns: tuple[str, ...]) -> tuple[Cell, ...]:
    """Cells whose name one of the regular expressions matches, and the cells that those need; all without expressions.

    Raises:
        CompBenchError: an expression that is not valid or fits none.
    """
    if not patterns:
        return cells
    wanted: set[str] = set()
    for pattern in patterns:
        try:
            fitting = {cell.name for cell in cells if re.search(pattern, cell.name)}
        except re.error as error:
            raise CompBenchError(f"--only {pattern!r} is not a regular expression ({error})") from error
        if not fitting:
            raise CompBenchError(
                f"--only {pattern!r} fits none of {len(cells)} cells: --dry-run without it lists their names"
            )
        wanted |= fitting
    for cell in reversed(cells):  # a cell stands after what it needs
        wanted |= {cell.parent} if cell.name in wanted else set()
    return tuple(cell for cell in cells if cell.name in wanted)
