"""Density functional theory in PySCF, at the level of theory of arXiv 2605.08988."""

import os
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from compbench_jax.errors import optional_import
from compbench_jax.labelling.label_calculator import label_calculator

PURPOSE = "labelling frames with PySCF"


@dataclass(frozen=True)
class PySCFLevel:
    """PBE with D3(BJ) dispersion in a triple-zeta basis, Coulomb integrals by density fitting.

    Perdew, Burke, Ernzerhof 1996, Phys. Rev. Lett. 77, 3865; Grimme, Ehrlich, Goerigk 2011, J. Comput. Chem. 32, 1456;
    Weigend, Ahlrichs 2005, Phys. Chem. Chem. Phys. 7, 3297; fitting basis Weigend 2006, ibid. 8, 1057 (ORCA's def2/J).

    Attributes:
        name: key of the level.
        grid_level: PySCF's quadrature grid; 3 is within 2e-6 Hartree of level 4 for ethane and ethanol.
        conv_tol: Hartree, change of the energy between SCF cycles at convergence.
        conv_tol_grad: Hartree, norm of the orbital gradient at convergence.
    """

    name: str
    method: str = "PBE-D3(BJ)"
    basis: str = "def2-TZVP"
    program: str = "pyscf"
    functional: str = "pbe"
    dispersion: str = "d3bj"
    fitting_basis: str = "def2-universal-jfit"
    grid_level: int = 3
    conv_tol: float = 1e-10
    conv_tol_grad: float = 1e-6
    packages: tuple[str, ...] = ("pyscf", "pyscf-dispersion")
    frames_per_job: int = 1

    def describe(self) -> dict[str, Any]:
        """The level in the words of QCSchema v2 (model, program, version, keywords)."""
        optional_import("pyscf", "dft", PURPOSE)
        return {
            "method": self.method,
            "basis": self.basis,
            "program": self.program,
            "version": metadata.version("pyscf"),
            "keywords": {
                "functional": self.functional,
                "dispersion": self.dispersion,
                "density_fitting_basis": self.fitting_basis,
                "grid_level": self.grid_level,
                "grid_response": True,
                "conv_tol_Eh": self.conv_tol,
                "conv_tol_grad_Eh": self.conv_tol_grad,
                "charge": 0,
                "multiplicity": 1,
            },
        }

    def calculator(self, looseness: float = 1.0) -> Any:
        """An ASE calculator; every geometry gets an SCF of its own, tight as for labels (``looseness`` is ignored)."""
        return label_calculator(self)

    def label(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces F = −∇E in eV/Å ``[n_atoms, 3]`` of a neutral singlet at ``positions`` (Å).

        The forces hold the response of the quadrature grid: without it they differ from the energy's slope by
        1e-3 eV/Å. An SCF that does not converge is tried once more with second-order steps.

        Raises:
            ase.calculators.calculator.CalculationFailed: the SCF did not converge.
        """
        from ase import units
        from ase.calculators.calculator import CalculationFailed

        gto = optional_import("pyscf.gto", "dft", PURPOSE)
        dft = optional_import("pyscf.dft", "dft", PURPOSE)
        optional_import("pyscf.dispersion", "dft", PURPOSE)
        threads = optional_import("pyscf.lib", "dft", PURPOSE)
        threads.num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        molecule = gto.M(
            atom=[(int(z), tuple(r)) for z, r in zip(numbers, np.asarray(positions) / units.Bohr, strict=True)],
            unit="Bohr",
            basis=self.basis,
            verbose=0,
        )
        scf = dft.RKS(molecule, xc=self.functional).density_fit(auxbasis=self.fitting_basis)
        scf.disp = self.dispersion
        scf.grids.level = self.grid_level
        scf.conv_tol, scf.conv_tol_grad = self.conv_tol, self.conv_tol_grad
        scf.chkfile = None
        energy = scf.kernel()
        if not scf.converged:
            scf = scf.newton()
            energy = scf.kernel(scf.mo_coeff, scf.mo_occ)
        if not scf.converged:
            raise CalculationFailed(f"SCF of {molecule.natm} atoms not converged after second-order steps")
        gradient = scf.nuc_grad_method()
        gradient.grid_response = True
        return float(energy) * units.Hartree, -np.asarray(gradient.kernel()) * (units.Hartree / units.Bohr)
