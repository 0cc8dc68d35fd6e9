"""Task modules of the benchmark: each yields the four frame sets of a split."""

import difflib
import re
from dataclasses import is_dataclass
from inspect import isabstract
from pathlib import Path
from typing import Any, Never

from compbench_jax.errors import CompBenchError, TaskError
from compbench_jax.own_code import is_own, load_class, what_failed
from compbench_jax.splits.controls import Contacts, ControlRandom, FewShot, Oracle
from compbench_jax.splits.own import FILE as OWN_SPLIT_FILE
from compbench_jax.splits.own import OwnSplit
from compbench_jax.splits.pretraining import Pretraining
from compbench_jax.splits.task import Task
from compbench_jax.tasks.chain_extension import ChainExtension
from compbench_jax.tasks.chain_extension_hints import ChainExtensionHints
from compbench_jax.tasks.chain_interpolation import ChainInterpolation
from compbench_jax.tasks.fragment_combination import FragmentCombination
from compbench_jax.tasks.fragment_duplication import FragmentDuplication
from compbench_jax.tasks.fragment_fission import FragmentFission
from compbench_jax.tasks.fragment_fusion import FragmentFusion, FragmentFusionHints
from compbench_jax.tasks.fragment_transfer import FragmentTransfer
from compbench_jax.tasks.random_frames import RandomFrames

__all__ = [
    "ALL_TASKS",
    "CONTROLS",
    "EXPERIMENTS",
    "EXTENSIONS",
    "MAIN_TASKS",
    "REFERENCES",
    "TASKS",
    "VARIANTS",
    "Task",
    "control_of",
    "get_task",
    "task_of_run",
]

TASKS: dict[str, type[Task]] = {
    task.kind: task for task in (ChainExtension, FragmentFusion, FragmentDuplication, FragmentCombination)
}
"""The paper's four tasks by name."""

EXPERIMENTS: dict[str, type[Task]] = {
    task.kind: task for task in (FragmentFission, ChainExtensionHints, FragmentFusionHints)
}
"""The paper's further experiments by name."""

EXTENSIONS: dict[str, type[Task]] = {task.kind: task for task in (FragmentTransfer, ChainInterpolation)}
"""Tasks of this project that are not the paper's, by name."""

ALL_TASKS: dict[str, type[Task]] = TASKS | EXPERIMENTS | EXTENSIONS
"""All of them, in the order to show them."""

MAIN_TASKS = (*TASKS, FragmentFission.kind)
"""Tasks of the headline: the four, and fission, which the runs of fragment_duplication are evaluated on."""

CONTROLS: dict[str, type[Task]] = {control.kind: control for control in (ControlRandom, Oracle)}
"""The two controls by name; each is made of a task."""

REFERENCES: dict[str, type[Task]] = {RandomFrames.kind: RandomFrames}
"""Tasks for data sets of any molecules, by name; they are none of the benchmark's."""

VARIANTS: dict[str, type[Task]] = {variant.kind: variant for variant in (Pretraining, FewShot, Contacts)}
"""Other trainings of a task, by name: on everything else before it, on a few frames of its OOD molecules too, on close
pairs of its training molecules too."""


def get_task(text: str, files: bool = True) -> Task:
    """The task that a text names.

    ``chain_extension``, ``fragment_duplication[NH2]``, ``fragment_combination[OH,COOH]``,
    ``control_random(fragment_fusion)``, ``control_random(chain_extension,seed=3)``,
    ``oracle(chain_extension[diacid])``, ``few_shot(chain_extension,frames=20)``,
    ``pretraining(chain_extension)``, ``contacts(fragment_duplication)``, ``random_frames`` (of any molecules),
    ``split(FILE.json)`` (a split of one's own),
    ``FILE.py:CLASS`` or ``FILE.py:CLASS[PARAMETER,…]`` (a task of one's own). Without brackets the defaults hold.
    ``get_task(task.name) == task`` for every task that is not in a file.

    Args:
        text: the name.
        files: whether it may name a file, and that be run. Not where the name is from results, which may be anybody's.

    Raises:
        TaskError: unknown task or fragment, a text of another form, or a file that holds no such task.
    """
    text = text.strip()
    file = re.fullmatch(r"(.+\.py:\w+)\s*(?:\[(.*)\])?", text)
    own = re.fullmatch(r"split\((.*)\)", text)
    if not files and (file or own):
        raise TaskError(f"{text!r} is in a file of its author's: only tasks of this package are taken here")
    if file is not None:
        return _with_parameters(text, _task_in_file(file[1]), file[2])
    if own is not None:
        return OwnSplit(own[1])
    control = re.fullmatch(r"(\w+)\s*\((.*)\)", text)
    if control is not None:
        return _control(control[1], control[2], files)
    task = re.fullmatch(r"([\w-]+)\s*(?:\[(.*)\])?", text)
    if task is None:
        raise TaskError(
            f"{text!r} is not a task: write NAME, NAME[PARAMETER,…], control_random(TASK), oracle(TASK) or "
            "FILE.py:CLASS"
        )
    kind, inside = task[1], task[2]
    if kind in CONTROLS | VARIANTS:
        raise TaskError(f"{kind} is made of a task and needs one: write {kind}(TASK), e.g. {kind}(chain_extension)")
    known = ALL_TASKS | REFERENCES
    if kind not in known:
        _unknown(kind)
    return _with_parameters(text, known[kind], inside)


def _with_parameters(text: str, task: type[Task], inside: str | None) -> Task:
    """The task with what is written between its brackets; None: without brackets."""
    parameters = [part.strip() for part in inside.split(",")] if inside is not None else []
    if inside is not None and not all(parameters):
        raise TaskError(f"{text!r} has an empty parameter: leave the brackets out for the defaults, {task().name}")
    try:
        return task.from_parameters(parameters)
    except Exception as error:
        if isinstance(error, CompBenchError) or not is_own(task):
            raise
        raise TaskError(f"{text} cannot be made: {what_failed(error, task)}") from error


def _task_in_file(text: str) -> type[Task]:
    """The task that ``FILE.py:CLASS`` names."""
    try:
        found = load_class(text)
    except CompBenchError as error:
        raise TaskError(str(error)) from error
    if not issubclass(found, Task) or isabstract(found) or not is_dataclass(found):
        raise TaskError(f"{text} is no task: derive a frozen dataclass with select from compbench_jax.tasks.Task")
    return found


def control_of(kind: str, task: Task) -> Task:
    """The control of a kind, ``control_random`` or ``oracle``, of a task."""
    make: Any = CONTROLS[kind]
    return make(task)


def task_of_run(text: str, run: Path, trained_on: str) -> Task:
    """The task that a text names, for a run; of one that was trained on a task or split in a file of the user's, the
    split that its folder keeps.

    Args:
        text: name of the task.
        run: folder of the run.
        trained_on: name of the task that it was trained on.

    Raises:
        TaskError: see :func:`get_task`.
    """
    own = run / OWN_SPLIT_FILE
    if text == trained_on:
        return OwnSplit(str(own), trained_on) if own.exists() else get_task(text, files=False)
    return get_task(text)


def _control(kind: str, inside: str, files: bool) -> Task:
    """The control of that kind of the task written between its parentheses."""
    if kind == "own":
        raise TaskError(f"own({inside}) is in a file of its author's: give that as FILE.py:CLASS")
    if kind not in CONTROLS | VARIANTS:
        _unknown(kind)
    numbered = re.fullmatch(r"(.*?)\s*,\s*(seed|frames)\s*=\s*(.*?)\s*", inside)
    takes = {ControlRandom.kind: "seed", FewShot.kind: "frames"}.get(kind)
    make: Any = {**CONTROLS, **VARIANTS}[kind]
    if numbered is None:
        return make(get_task(inside, files))
    task, word, value = numbered.groups()
    if word != takes:
        raise TaskError(f"{kind}({inside}): it has no {word}: leave that out")
    if not value.isdecimal():
        raise TaskError(f"{kind}({inside}): {word} {value!r} is not a whole number: write {kind}({task},{word}=3)")
    return make(get_task(task, files), int(value))


def _unknown(kind: str) -> Never:
    known = [*ALL_TASKS, *REFERENCES, *(f"{control}(TASK)" for control in (*CONTROLS, *VARIANTS))]
    close = difflib.get_close_matches(kind.replace("-", "_"), [*ALL_TASKS, *REFERENCES, *CONTROLS, *VARIANTS], n=1)
    hint = f"did you mean {close[0]!r}? Tasks are" if close else "tasks are"
    raise TaskError(f"no such task {kind!r}: {hint} {', '.join(known)}")
