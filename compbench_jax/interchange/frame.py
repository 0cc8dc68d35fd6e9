"""One frame of a foreign file, as its reader hands it over."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.store.store import SETS

MAX_ATOMS = 100_000
"""Atoms that a frame may have: ten thousand times the benchmark's largest molecules need."""

LARGEST = 1e30
"""What a position, force or energy stays under in any unit; more does not fit the store's float32."""


@dataclass(slots=True, eq=False)
class ForeignFrame:
    """A labelled geometry in the units of its file.

    Attributes:
        numbers: atomic numbers Z, int32 ``[n_atoms]``.
        positions: ``[n_atoms, 3]``.
        energy: total energy.
        forces: F = −∇E, ``[n_atoms, 3]``.
        units: names of the energy and the length unit where the file states them, else None.
        tag: set and segment, where the file is an export of this program.
        time: fs, where the file is an export of this program.
        temperature: K, likewise.
        level: words of the level of theory (``method``, ``basis``, ``program``) that the file states.
    """

    numbers: np.ndarray
    positions: np.ndarray
    energy: float
    forces: np.ndarray
    units: tuple[str, str] | None = None
    tag: tuple[str, int] | None = None
    time: float | None = None
    temperature: float = float("nan")
    level: dict[str, str] = field(default_factory=dict)


def labelled_frame(
    path: Path, index: int, numbers: Any, positions: Any, energy: Any, forces: Any, info: dict[str, Any]
) -> ForeignFrame:
    """Put a frame together from what a reader found.

    Args:
        path: the file, for messages.
        index: number of the frame in it, from 0.
        numbers: atomic numbers ``[n_atoms]``.
        positions: ``[n_atoms, 3]``.
        energy: a number, or None where the file has none.
        forces: ``[n_atoms, 3]``, or None where the file has none.
        info: further keys of the frame; those of an export of this program are understood.

    Raises:
        DataError: an energy or forces are missing, a shape is wrong, or a value is not finite.
    """
    where = f"{path}, frame {index}"
    if energy is None:
        raise DataError(f"{where} has no energy: only labelled frames can be imported")
    if forces is None:
        raise DataError(f"{where} has an energy but no forces: only frames with both can be imported")
    try:
        numbers = np.asarray(numbers)
        positions, forces = np.asarray(positions, np.float64), np.asarray(forces, np.float64)
        energy = float(energy)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} has a label or position that is not a number: mend or remove it") from error
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
    frame = ForeignFrame(numbers.astype(np.int32), positions, energy, forces)
    _own_keys(frame, info)
    return frame


def _own_keys(frame: ForeignFrame, info: dict[str, Any]) -> None:
    """Take over what an export of this program says of a frame; the keys of other programs mean nothing here."""
    if isinstance(info.get("energy_unit"), str) and isinstance(info.get("length_unit"), str):
        frame.units = (info["energy_unit"], info["length_unit"])
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
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
