"""One frame of a foreign file, as its reader hands it over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.isolation import not_isolated, not_neutral
from compbench_jax.interchange.labels import LabelKeys, Labels
from compbench_jax.store.store import SETS

CHARGED = "charge or spin"
ATOM = "isolated atom"

MAX_ATOMS = 100_000
"""Atoms that a frame may have: ten thousand times the benchmark's largest molecules need."""

LARGEST = 1e30
"""What a position, force or energy stays under in any unit; more does not fit the store's float32."""


Units = tuple[str | None, str | None, str | None]
"""Names of the units of energy, length and force; None where nothing is stated."""


@dataclass(slots=True, eq=False)
class ForeignFrame:
    """A labelled geometry in the units of its file.

    Attributes:
        numbers: atomic numbers Z, int32 ``[n_atoms]``.
        positions: ``[n_atoms, 3]``.
        energy: total energy.
        forces: F = −∇E, ``[n_atoms, 3]``.
        labels: keys under which the file has energy and forces.
        left_out: kind and detail of why the frame cannot be imported though the others of its file can; None if it can.
        in_box: whether the file states a periodic cell, so large that the molecule is isolated in it.
        units: names of the energy, the length and the force unit, each None where the file does not state it.
        tag: set and segment, where the file is an export of this program.
        time: fs, where the file is an export of this program.
        temperature: K, likewise.
        level: words of the level of theory (``method``, ``basis``, ``program``) that the file states.
    """

    numbers: np.ndarray
    positions: np.ndarray
    energy: float
    forces: np.ndarray
    labels: Labels
    left_out: tuple[str, str] | None = None
    in_box: bool = False
    units: Units = (None, None, None)
    tag: tuple[str, int] | None = None
    time: float | None = None
    temperature: float = float("nan")
    level: dict[str, str] = field(default_factory=dict)


def labelled_frame(
    path: Path,
    index: int,
    numbers: Any,
    positions: Any,
    energy: Any,
    forces: Any,
    labels: Labels,
    info: Mapping[str, Any],
    cell: Any = None,
    periodic: Any = (False, False, False),
) -> ForeignFrame:
    """Put a frame together from what a reader found.

    Args:
        path: the file, for messages.
        index: number of the frame in it, from 0.
        numbers: atomic numbers ``[n_atoms]``.
        positions: ``[n_atoms, 3]``.
        energy: a number.
        forces: ``[n_atoms, 3]``.
        labels: their keys.
        info: further keys of the frame: charge, spin, and those of an export of this program are understood.
        cell: vectors of the cell, 9 numbers, or None.
        periodic: along which of them.

    Raises:
        DataError: a shape is wrong, a value is not finite, or periodic images are near.
    """
    where = f"{path}, frame {index}"
    try:
        numbers = np.asarray(numbers)
        positions, forces = np.asarray(positions, np.float64), np.asarray(forces, np.float64)
        energy = float(energy)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where} has a label or position that is not a number: correct or remove it") from error
    n_atoms = len(numbers) if numbers.ndim == 1 else 0
    if not 1 <= n_atoms <= MAX_ATOMS or numbers.dtype.kind not in "iu" or numbers.min() < 1 or numbers.max() > 118:
        raise DataError(f"{where}: its atomic numbers are not 1 to {MAX_ATOMS} integers from 1 to 118")
    if positions.shape != (n_atoms, 3) or forces.shape != (n_atoms, 3):
        raise DataError(
            f"{where} has {n_atoms} atoms but positions {list(positions.shape)} and forces {list(forces.shape)}"
        )
    for name, value in (("position", positions), ("energy", energy), ("force", forces)):
        if not (np.abs(value) < LARGEST).all():  # false for NaN too
            raise DataError(f"{where} has a {name} that is not finite: remove or relabel it")
    near = not_isolated(cell, periodic, positions)
    if near:
        raise DataError(f"{where} {near}: only isolated molecules can be imported, leave periodic frames out")
    charged = not_neutral(info)
    left_out = None if charged is None else (CHARGED, charged)
    frame = ForeignFrame(numbers.astype(np.int32), positions, energy, forces, labels, left_out, any(periodic))
    _own_keys(frame, info)
    return frame


def lone_atom(numbers: Any, keys: LabelKeys, scalars: Collection[str], vectors: Collection[str]) -> ForeignFrame | None:
    """A frame of one atom with an energy and no forces, which is left out: reference energies are written so.

    Args:
        numbers: atomic numbers.
        keys: what the user says of labels.
        scalars: keys of the frame that may be energies.
        vectors: keys of the frame that hold three numbers per atom.

    Returns:
        None for a molecule, or where there are forces.
    """
    if np.shape(numbers) != (1,) or not keys.lacks_forces(scalars, vectors):
        return None
    none = np.zeros((1, 3))
    return ForeignFrame(np.asarray(numbers), none, 0.0, none, Labels("", ""), (ATOM, "one atom with no forces"))


def _own_keys(frame: ForeignFrame, info: Mapping[str, Any]) -> None:
    """Take over what an export of this program says of a frame; the keys of other programs mean nothing here."""
    if isinstance(info.get("energy_unit"), str) and isinstance(info.get("length_unit"), str):
        frame.units = (info["energy_unit"], info["length_unit"], None)
    for word in ("method", "basis", "program"):
        if isinstance(info.get(f"level_{word}"), str):
            frame.level[word] = info[f"level_{word}"]
    segment = _number(info.get("segment"))
    if info.get("set") in SETS and segment is not None and segment == int(segment) and 0 <= segment < 2**31:
        frame.tag = (info["set"], int(segment))
        frame.time = _number(info.get("time"))
        temperature = _number(info.get("temperature"))
        frame.temperature = float("nan") if temperature is None else temperature


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None
