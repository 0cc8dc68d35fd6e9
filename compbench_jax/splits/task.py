"""What a task is: a rule that says which molecules of a store are trained on and which are held out."""

import string
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, Self, get_origin, get_type_hints

from compbench_jax.errors import CompBenchError, TaskError
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.own_code import is_own, what_failed
from compbench_jax.splits.checks import MoleculeSplit, check_molecules
from compbench_jax.splits.frames import molecule_disjoint_split
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore


class Task(ABC):
    """A task of the benchmark. Subclasses are frozen dataclasses whose fields are the task's parameters.

    The class attributes below are checked when a subclass is defined, so that a task without a principle or
    with a parameter that has no default fails at import and not in the middle of a study.

    Attributes:
        kind: name without parameters, lower case, e.g. ``"fragment_duplication"``.
        principle: of compositional generalisation, e.g. ``"productivity"``.
        question: one sentence that says what the task asks of a potential; ends in a question mark.
        trained_on: the training molecules in words; ``{parameter}`` stands for a field.
        tested_on: the OOD molecules in words, likewise.
        molecule_disjoint: False only for a control that trains on the OOD molecules on purpose.
        paper_name: what the paper calls the task; empty for a task of ours.
        public: what of the paper's definition is public, in words.
        inferred: what of it is our inference, in words.
        trained_as: kind of the task with the same training molecules, whose runs are evaluated on this one, too.
    """

    kind: ClassVar[str]
    principle: ClassVar[str]
    question: ClassVar[str]
    trained_on: ClassVar[str]
    tested_on: ClassVar[str]
    molecule_disjoint: ClassVar[bool] = True
    paper_name: ClassVar[str] = ""
    public: ClassVar[str] = ""
    inferred: ClassVar[str] = ""
    trained_as: ClassVar[str] = ""

    def __init_subclass__(cls, control: bool = False) -> None:
        """Check the definition of a task.

        Args:
            control: the class wraps another task, which cannot have a default.

        Raises:
            TypeError: an attribute is missing or malformed, or a parameter has no default.
        """
        super().__init_subclass__()
        for attribute in ("kind", "principle", "question", "trained_on", "tested_on"):
            if not isinstance(getattr(cls, attribute, None), str) or not getattr(cls, attribute).strip():
                raise TypeError(f"task {cls.__name__} has no {attribute}: give it that class attribute, in words")
        if not cls.kind.isidentifier() or cls.kind != cls.kind.lower():
            raise TypeError(f"task {cls.__name__}: kind {cls.kind!r} must be a lower-case identifier")
        if not cls.question.endswith("?") or cls.question.count("?") != 1:
            raise TypeError(f"task {cls.__name__}: the question must be one sentence that ends in a question mark")
        parameters = [
            name
            for name, hint in get_type_hints(cls).items()
            if get_origin(hint) is not ClassVar and hint is not ClassVar
        ]
        if not control and any(not hasattr(cls, name) for name in parameters):
            raise TypeError(f"task {cls.__name__}: every parameter needs a default, to be a task by itself")
        for words in (cls.trained_on, cls.tested_on):
            if not all(name in parameters or hasattr(cls, name) for name in names_in(words)):
                raise TypeError(f"task {cls.__name__}: {words!r} names other things than parameters and properties")

    @classmethod
    def from_parameters(cls, parameters: Sequence[str]) -> Self:
        """The task with the parameters given in brackets: all of them, or none for the defaults.

        Raises:
            TaskError: too few or too many, or one is not valid.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        if parameters and len(parameters) != len(names):
            count = f"{len(names)} parameter{'s' * (len(names) != 1)}"
            raise TaskError(
                f"{cls.kind}[{','.join(parameters)}]: this task takes {count}: "
                f"write {cls.kind}[{','.join(names).upper()}], or {cls.kind} for {cls().name}"
            )
        return cls(*map(_parameter, parameters, (get_type_hints(cls)[name] for name in names), names))

    @property
    def name(self) -> str:
        """Canonical name with the parameters, as :func:`compbench_jax.tasks.get_task` reads it.

        A task that is none of this package is ``own(NAME)``: nobody takes it for one of the benchmark's.
        """
        values = [str(getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]
        name = f"{self.kind}[{','.join(values)}]" if values else self.kind
        return f"own({name})" if is_own(type(self)) else name

    @abstractmethod
    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """The rule itself: molecules to train on and to hold out, by their ends and n. Unchecked."""

    def molecules(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Molecules to train on and to hold out.

        Args:
            graphs: the molecules of a store; any part of the registry will do as long as both sides have
                some.

        Raises:
            TaskError: a side is empty, or a molecule (an InChIKey) is on both sides; or the rule itself fails.
        """
        try:
            chosen = self.select(graphs)
        except Exception as error:
            if isinstance(error, CompBenchError) or not is_own(type(self)):
                raise
            raise TaskError(f"{self.name}: its rule fails: {what_failed(error, type(self))}") from error
        check_molecules(self.name, graphs, chosen, self.in_words(self.trained_on), self.in_words(self.tested_on))
        return chosen

    def split(self, store: FrameStore) -> Split:
        """The four sets of frames: train, validation, ID test, OOD test (see ``splits.frames``).

        Raises:
            TaskError: as :meth:`molecules`; or a trajectory is missing, or a set is empty.
        """
        split = molecule_disjoint_split(store, self.name, self.molecules(store.graphs))
        return replace(split, new_fragments=self.new_fragments)

    @property
    def new_fragments(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """End fragments that only the OOD molecules have, on purpose, each with the trained ones it is made of.

        Fusion of OH: ``(("COOH", ("OH", "CHO")),)``. A task overrides this with a property, or with a plain class
        attribute where it does not depend on parameters. The audit does not count these fragments as failures.
        """
        return ()

    def in_words(self, words: str) -> str:
        """``trained_on`` or ``tested_on`` with the parameters filled in."""
        return words.format_map({name: getattr(self, name) for name in names_in(words)})


def names_in(words: str) -> set[str]:
    """Names in braces in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


def _parameter(text: str, kind: Any, name: str) -> Any:
    """A parameter from its text: a number where the field is one.

    Raises:
        TaskError: it is no number.
    """
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        raise TaskError(f"the parameter {name} is {text!r}: give a number") from None
