"""Units of energies and lengths, and what turns them into eV and Å."""

from collections.abc import Mapping
from dataclasses import dataclass

from compbench_jax.errors import CompBenchError

# CODATA 2018; 1 kcal is 4.184 kJ (thermochemical), a mole 6.02214076e23 (exact), an eV 1.602176634e-19 J (exact).
HARTREE = 27.211386245988
KILOJOULE_PER_MOLE = 1.0 / 96.48533212331001
BOHR = 0.529177210903

ENERGY_UNITS = {
    "eV": 1.0,
    "kcal/mol": 4.184 * KILOJOULE_PER_MOLE,
    "Hartree": HARTREE,
    "kJ/mol": KILOJOULE_PER_MOLE,
}
"""eV of one unit of energy."""

LENGTH_UNITS = {"Ang": 1.0, "Bohr": BOHR}
"""Å of one unit of length."""

_OTHER_NAMES = {
    "ha": "Hartree",
    "eh": "Hartree",
    "angstrom": "Ang",
    "angstroms": "Ang",
    "å": "Ang",
    "a": "Ang",
    "a0": "Bohr",
}


@dataclass(frozen=True)
class Factors:
    """Units of a file: names, and the factors to eV, Å and eV/Å."""

    energy_name: str
    length_name: str
    force_name: str
    energy: float
    length: float
    force: float

    @property
    def text(self) -> str:
        """The names, that of the forces where it is not the energy over the length."""
        usual = f"{self.energy_name}/{self.length_name}"
        forces = "" if self.force_name == usual else f" (forces {self.force_name})"
        return f"{self.energy_name} and {self.length_name}{forces}"


def resolve_units(energy: str, length: str, force: str | None = None) -> Factors:
    """Units by name; forces are in units of the energy over the length, unless named.

    Args:
        energy: a name in ``ENERGY_UNITS``.
        length: a name in ``LENGTH_UNITS``.
        force: an energy and a length, e.g. ``"Hartree/Bohr"`` with lengths in Å.

    Raises:
        CompBenchError: a unit that does not exist.
    """
    energy, length = (
        unit_name(energy, ENERGY_UNITS, "--energy-unit"),
        unit_name(length, LENGTH_UNITS, "--length-unit"),
    )
    over_energy, over_length = energy, length
    if force is not None:
        over_energy, _, over_length = force.rpartition("/")
        over_energy = unit_name(over_energy, ENERGY_UNITS, "--force-unit (energy/length), energy")
        over_length = unit_name(over_length, LENGTH_UNITS, "--force-unit (energy/length), length")
    return Factors(
        energy,
        length,
        f"{over_energy}/{over_length}",
        ENERGY_UNITS[energy],
        LENGTH_UNITS[length],
        ENERGY_UNITS[over_energy] / LENGTH_UNITS[over_length],
    )


def unit_name(text: str, table: Mapping[str, float], option: str) -> str:
    """The unit's name in the table, without regard to case.

    Raises:
        CompBenchError: no such unit.
    """
    key = text.strip().casefold()
    key = _OTHER_NAMES.get(key, key).casefold()
    for name in table:
        if name.casefold() == key:
            return name
    raise CompBenchError(f"{option}: no unit {text!r}, choose one of {', '.join(table)}")
