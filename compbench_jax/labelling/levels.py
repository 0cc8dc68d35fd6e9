"""Levels of theory: what turns a geometry into an energy and forces.

A level is one row of ``LEVELS``. Labels never depend on the history of a trajectory: every labelled geometry gets a
self-consistent calculation of its own, tighter than the one that drove the dynamics.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError, optional_import


@dataclass(frozen=True)
class XTBLevel:
    """An extended tight-binding method in tblite.

    Attributes:
        name: key of the level, e.g. ``"gfn2-xtb"``.
        method: tblite's name of the method.
        dynamics_accuracy: tblite's accuracy (smaller is tighter) along trajectories, where only sampling matters.
        label_accuracy: accuracy of the labels; 0.01 keeps SCF noise in the forces near 1e-6 eV/Å.
    """

    name: str
    method: str
    dynamics_accuracy: float = 1.0
    label_accuracy: float = 0.01

    def describe(self) -> dict[str, Any]:
        """The level in the words of QCSchema v2 (model, program, version, keywords)."""
        tblite = optional_import("tblite.library", "generate", "labelling frames")
        return {
            "method": self.method,
            "basis": None,
            "program": "tblite",
            "version": ".".join(str(part) for part in tblite.get_version()),
            "keywords": {
                "accuracy": self.label_accuracy,
                "electronic_temperature_K": 300.0,
                "charge": 0,
                "multiplicity": 1,
            },
        }

    def calculator(self) -> Any:
        """An ASE calculator for dynamics; it starts each SCF from the last one's density."""
        return self._calculator(self.dynamics_accuracy)

    def label(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces F = −∇E in eV/Å ``[n_atoms, 3]`` of a neutral singlet at ``positions`` (Å).

        Raises:
            ase.calculators.calculator.CalculationFailed: the SCF did not converge.
        """
        from ase import Atoms

        atoms = Atoms(numbers, positions, calculator=self._calculator(self.label_accuracy))
        return float(atoms.get_potential_energy()), np.array(atoms.get_forces())

    def _calculator(self, accuracy: float) -> Any:
        tblite = optional_import("tblite.ase", "generate", "labelling frames")
        return tblite.TBLite(method=self.method, accuracy=accuracy, verbosity=0)


Level = XTBLevel
LEVELS: dict[str, Level] = {
    level.name: level for level in (XTBLevel("gfn2-xtb", "GFN2-xTB"), XTBLevel("gfn1-xtb", "GFN1-xTB"))
}


def get_level(name: str) -> Level:
    """The level of this name.

    Raises:
        CompBenchError: no such level.
    """
    try:
        return LEVELS[name]
    except KeyError as error:
        raise CompBenchError(f"unknown level of theory {name!r}: choose one of {', '.join(LEVELS)}") from error
