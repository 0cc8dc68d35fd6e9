"""The space that ``compbench tune`` searches: ranges and choices of settings of a run, typed as the settings are."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from compbench_jax.errors import RunError
from compbench_jax.training.configuration import RunConfig

ROOTS = ("model.", "optimiser.", "loss.")
"""Groups of settings that may be searched, as well as ``batch_size``. Seeds, steps and data are what trials share."""

WIDTHS = ("features", "channels")
"""Fields of a potential's configuration that say how wide it is, if it has one number for that."""

FORM = "give NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C, e.g. optimiser.learning_rate=1e-4:1e-2:log"


@dataclass(frozen=True)
class Axis:
    """One setting to search.

    Attributes:
        name: dotted name in the configuration, e.g. ``optimiser.learning_rate``.
        low, high: ends of a range, both included; integers for a setting that is one. None for choices.
        log: the range is searched by its logarithm.
        choices: values to choose from; empty for a range.
    """

    name: str
    low: float | int | None = None
    high: float | int | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """As it is written on the command line."""
        if self.choices:
            return f"{self.name}={','.join(_word(value) for value in self.choices)}"
        return f"{self.name}={self.low:g}:{self.high:g}{':log' if self.log else ''}"


def default_axes(base: RunConfig) -> list[Axis]:
    """Learning rate, matrix rate of Muon, weight of energies, and half, once and twice the width where there is one.

    The weight of forces stays: only the ratio of the two weights matters, but for clipping.
    """
    weight = base.loss.energy_weight
    axes = [Axis("optimiser.learning_rate", 3e-4, 3e-2, log=True)]
    if base.optimiser.name == "muon":
        rate = base.optimiser.matrix_rate
        axes.append(Axis("optimiser.matrix_rate", rate / 4, rate * 4, log=True))
    if weight > 0 and base.loss.force_weight > 0:
        axes.append(Axis("loss.energy_weight", weight / 10, weight * 10, log=True))
    for name in WIDTHS:
        width = getattr(base.model, name, None)
        if isinstance(width, int) and width >= 4:
            axes.append(Axis(f"model.{name}", choices=(width // 2, width, 2 * width)))
            break
    return axes


def search_space(base: RunConfig, words: Sequence[str], defaults: bool) -> list[Axis]:
    """The axes of a study: the default ones, unless left out, replaced or extended by those of the command line.

    Raises:
        RunError: an axis that is none, or nothing to search at all.
    """
    axes = {axis.name: axis for axis in (default_axes(base) if defaults else [])}
    given = [parse_axis(word, base) for word in words]
    names = [axis.name for axis in given]
    if len(set(names)) < len(names):
        raise RunError(f"--search names {max(names, key=names.count)} twice: give each setting once")
    axes |= {axis.name: axis for axis in given}
    if not axes:
        raise RunError(f"--no-default-search leaves nothing to search: {FORM} with --search")
    return list(axes.values())


def parse_axis(text: str, base: RunConfig) -> Axis:
    """An axis from the command line, checked against the setting that it names.

    Raises:
        RunError: no such setting, one that cannot be searched, or values that it cannot have.
    """
    name, equals, values = text.partition("=")
    if not (name and equals and values):
        raise RunError(f"--search {text!r} is no range and no choice: {FORM}")
    current, options = _setting(base, name)
    if ":" not in values:
        words = [word.strip() for word in values.split(",")]
        choices = tuple(_value(text, word, current, options) for word in words)
        if len(set(choices)) < len(choices):
            raise RunError(f"--search {text} has a value twice: give each once")
        return Axis(name, choices=choices)
    low_word, high_word, *rest = values.split(":")
    if rest not in ([], ["log"]):
        raise RunError(f"--search {text!r} is no range: {FORM}")
    if isinstance(current, bool) or not isinstance(current, int | float):
        raise RunError(f"--search {text}: {name} is not a number: give its values, {name}=A,B,C")
    low, high = (_value(text, word, current, ()) for word in (low_word, high_word))
    if not low < high or (rest and low <= 0):
        raise RunError(f"--search {text}: the first number must be below the second{', and above 0' if rest else ''}")
    return Axis(name, low, high, bool(rest))


def with_values(base: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """The configuration with other values of some settings, by dotted name."""
    changed = base
    for name, value in values.items():
        group, _, field = name.rpartition(".")
        if group:
            changed = replace(changed, **{group: replace(getattr(changed, group), **{field: value})})
        else:
            changed = replace(changed, **{field: value})
    return changed


def to_json(axis: Axis) -> dict[str, Any]:
    """The axis as JSON values."""
    return {**asdict(axis), "choices": list(axis.choices)}


def _setting(base: RunConfig, name: str) -> tuple[Any, tuple[Any, ...]]:
    """The present value of a setting, and the words it is one of if its type says so."""
    group, _, field = name.rpartition(".")
    if name != "batch_size" and f"{group}." not in ROOTS:
        known = ", ".join([*(f"{root}…" for root in ROOTS), "batch_size"])
        raise RunError(f"--search {name}: this cannot be searched, only {known} can")
    owner = getattr(base, group) if group else base
    assert is_dataclass(owner)
    names = [item.name for item in fields(owner)]
    if field not in names:
        raise RunError(f"--search {name}: there is no such setting, {group} has {', '.join(names)}")
    current = getattr(owner, field)
    if not isinstance(current, bool | int | float | str):
        raise RunError(f"--search {name}: it is neither a number nor a word, which alone can be searched")
    return current, get_args(get_type_hints(type(owner))[field])


def _value(text: str, word: str, current: Any, options: tuple[Any, ...]) -> Any:
    """A value of the type of the present one."""
    try:
        if isinstance(current, bool):
            return {"true": True, "false": False}[word.lower()]
        if isinstance(current, str):
            if options and word not in options:
                raise ValueError
            return word
        value = type(current)(word)
        if not math.isfinite(value):
            raise ValueError
        return value
    except (KeyError, ValueError) as error:
        allowed = ", ".join(map(str, options)) or {bool: "true or false", int: "a whole number"}.get(
            type(current), "a number"
        )
        raise RunError(f"--search {text}: {word!r} is not possible there: give {allowed}") from error


def _word(value: Any) -> str:
    """A value as on the command line."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
