"""The role of a task in an experiment, by its canonical name: the task itself, its controls, a preparation."""

import re
from typing import Literal, get_args

Role = Literal["task", "control", "oracle", "few_shot", "contacts", "pretraining"]
ROLES: tuple[Role, ...] = get_args(Role)
KINDS: dict[str, Role] = {
    "control_random": "control",
    "oracle": "oracle",
    "few_shot": "few_shot",
    "contacts": "contacts",
    "pretraining": "pretraining",
}
"""Roles of the names that wrap another task."""


def role_of(task: str) -> Role:
    """Role of a task: ``"control"`` of ``"control_random(chain_extension,seed=3)"``.

    >>> role_of("oracle(fragment_fusion)")
    'oracle'
    """
    return KINDS.get(task.partition("(")[0], "task") if "(" in task else "task"


def inner_task(task: str) -> str:
    """The task that a control or preparation is made of; a task itself.

    >>> inner_task("control_random(fragment_duplication[COOH],seed=3)")
    'fragment_duplication[COOH]'
    """
    match = re.fullmatch(r"(\w+)\((.*?)(?:,(?:seed|frames)=\d+)?\)", task)
    return match[2] if match and match[1] in KINDS else task


def is_own_task(task: str) -> bool:
    """Whether a task, or the one that a control is made of, is in a file of the user's: a rule or a split.

    >>> is_own_task("oracle(own(halves[3]))")
    True
    """
    return inner_task(task).startswith(("own(", "split("))
