"""Which energy and which forces of a frame belong together: labels are taken in pairs, never mixed."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from compbench_jax.errors import CompBenchError, DataError

_ENERGY = re.compile(r"e|(?:(.+?)[_.-]?)?energ(?:y|ies)", re.IGNORECASE)
_FORCES = re.compile(r"f|(?:(.+?)[_.-]?)?forces?", re.IGNORECASE)
NO_LABELS = {"free", "kinetic", "potential"}
"""Energies that programs write next to the one of the label set."""


@dataclass(frozen=True)
class Labels:
    """Keys of the energy and the forces that are read, and the keys of labels that are not."""

    energy: str
    forces: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelKeys:
    """The keys that the user states; None where nothing was said.

    Raises:
        CompBenchError: one of the two is missing.
    """

    energy: str | None = None
    forces: str | None = None

    def __post_init__(self) -> None:
        if (self.energy is None) != (self.forces is None):
            raise CompBenchError("--energy-key and --forces-key name one label set: give both")

    def choose(self, where: str, energies: tuple[str, ...], forces: tuple[str, ...]) -> Labels:
        """The label set of a frame: the one that the user states, else the first whose keys differ only in the word.

        ``energy`` and ``forces`` (or ``E`` and ``F``) are one set, ``REF_energy`` and ``REF_forces`` another; the one
        without a prefix goes first.

        Args:
            where: file and frame, for messages.
            energies: keys of the frame that may be energies.
            forces: keys of the frame that may be forces.

        Raises:
            DataError: no energy, no forces, or none that belong together.
        """
        found = _choose(self, energies, forces)
        if isinstance(found, str):
            raise DataError(f"{where} {found}")
        return found

    def lacks_forces(self, energies: Collection[str], forces: Collection[str]) -> bool:
        """Whether some key may be that of the energy, and none that of the forces."""
        found = any(name == self.energy or _ENERGY.fullmatch(name) for name in energies)
        return found and not any(name == self.forces or _FORCES.fullmatch(name) for name in forces)


ANY_KEYS = LabelKeys()


@lru_cache(maxsize=1024)
def _choose(keys: LabelKeys, energies: tuple[str, ...], forces: tuple[str, ...]) -> Labels | str:
    """The label set, or what is wrong."""
    sets: dict[str, tuple[list[str], list[str]]] = {}
    for index, (names, pattern) in enumerate(((energies, _ENERGY), (forces, _FORCES))):
        for name in names:
            match = pattern.fullmatch(name)
            stem = (match[1] or "").casefold() if match else None
            if stem is not None and stem not in NO_LABELS:
                sets.setdefault(stem, ([], []))[index].append(name)
    named = [name for own in sets.values() for names in own for name in names]
    if keys.energy is not None and keys.forces is not None:
        for key, names, what in ((keys.energy, energies, "energy"), (keys.forces, forces, "forces")):
            if key not in names:
                return f"has no {what} {key!r}: its labels are {', '.join(named) or 'none'}"
        return Labels(keys.energy, keys.forces, tuple(n for n in named if n not in (keys.energy, keys.forces)))
    whole = [stem for stem, (first, second) in sets.items() if first and second]
    if not whole:
        if not any(first for first, _ in sets.values()):
            return "has no energy: only labelled frames can be imported"
        if not any(second for _, second in sets.values()):
            return "has an energy but no forces: only frames with both can be imported"
        return f"has no energy and forces of one set ({', '.join(named)}): choose with --energy-key and --forces-key"
    first, second = sets["" if "" in whole else whole[0]]
    return Labels(first[0], second[0], tuple(n for n in named if n not in (first[0], second[0])))
