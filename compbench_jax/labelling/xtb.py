"""Extended tight binding (GFN1-xTB, GFN2-xTB) in tblite."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from compbench_jax.errors import optional_import
from compbench_jax.labelling.xtb_calculator import xtb_calculator


@dataclass(frozen=True)
class XTBLevel:
    """An extended tight-binding method in tblite (Bannwarth et al. 2019, J. Chem. Theory Comput. 15, 1652).

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
    basis: str | None = None
    program: str = "tblite"
    packages: tuple[str, ...] = ("tblite",)
    frames_per_job: int = 50

    def describe(self) -> dict[str, Any]:
        """The level in the words of QCSchema v2 (model, program, version, keywords)."""
        tblite = optional_import("tblite.library", "generate", "labelling frames")
        return {
            "method": self.method,
            "basis": self.basis,
            "program": self.program,
            "version": ".".join(str(part) for part in tblite.get_version()),
            "keywords": {
                "accuracy": self.label_accuracy,
                "electronic_temperature_K": 300.0,
                "charge": 0,
                "multiplicity": 1,
            },
        }

    def calculator(self, looseness: float = 1.0) -> Any:
        """An ASE calculator for dynamics; it starts each SCF from the last one's density."""
        return xtb_calculator(self.method, self.dynamics_accuracy * looseness)

    def label(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces F = −∇E in eV/Å ``[n_atoms, 3]`` of a neutral singlet at ``positions`` (Å).

        Raises:
            ase.calculators.calculator.CalculationFailed: the SCF did not converge.
        """
        from ase import Atoms

        atoms = Atoms(numbers, positions, calculator=xtb_calculator(self.method, self.label_accuracy))
        return float(atoms.get_potential_energy()), np.array(atoms.get_forces())
