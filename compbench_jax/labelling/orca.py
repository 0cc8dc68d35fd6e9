"""The paper's own program: ORCA, driven through ASE. ORCA is not distributed with anything; the user installs it."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.label_calculator import label_calculator


@dataclass(frozen=True)
class OrcaLevel:
    """PBE-D3(BJ)/def2-TZVP with RI-J in ORCA (Neese 2022, WIREs Comput. Mol. Sci. 12, e1606), as in arXiv 2605.08988.

    The input line is ours: the paper names functional, basis and dispersion, not the other keywords. Tested are the
    inputs, not the program.
    """

    name: str
    method: str = "PBE-D3(BJ)"
    basis: str = "def2-TZVP"
    program: str = "orca"
    simple_input: str = "PBE D3BJ def2-TZVP def2/J RI TightSCF EnGrad"
    blocks: str = "%pal nprocs 1 end"
    command: str = "orca"
    packages: tuple[str, ...] = ()
    frames_per_job: int = 1

    def describe(self) -> dict[str, Any]:
        """The level in the words of QCSchema v2 (model, program, version, keywords)."""
        return {
            "method": self.method,
            "basis": self.basis,
            "program": self.program,
            "version": self._version(),
            "keywords": {"simple_input": self.simple_input, "charge": 0, "multiplicity": 1},
        }

    def calculator(self, looseness: float = 1.0) -> Any:
        """An ASE calculator; every geometry is a run of its own in a folder of its own (``looseness`` is ignored)."""
        return label_calculator(self)

    def write_input(self, numbers: np.ndarray, positions: np.ndarray, folder: Path) -> Path:
        """Write ORCA's input for the geometry (Å) into ``folder`` and return its path."""
        from ase import Atoms

        calculator = self._calculator(folder, self.command)
        calculator.write_inputfiles(Atoms(numbers, positions), ["energy", "forces"])
        return folder / "orca.inp"

    def label(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces in eV/Å ``[n_atoms, 3]`` of a neutral singlet at ``positions`` (Å).

        Raises:
            CompBenchError: ORCA is not installed.
            ase.calculators.calculator.CalculationFailed: ORCA stopped or printed no energy.
        """
        from ase import Atoms
        from ase.calculators.calculator import CalculationFailed
        from ase.io import ParseError

        command = self._executable()
        with tempfile.TemporaryDirectory(prefix="compbench-orca-") as folder:
            atoms = Atoms(numbers, positions, calculator=self._calculator(Path(folder), command))
            try:
                return float(atoms.get_potential_energy()), np.array(atoms.get_forces())
            except (subprocess.SubprocessError, OSError, KeyError, ValueError, ParseError) as error:
                raise CalculationFailed(f"ORCA failed: {error}") from error

    def _calculator(self, folder: Path, command: str) -> Any:
        from ase.calculators.orca import ORCA, OrcaProfile

        return ORCA(
            profile=OrcaProfile(command=command),
            directory=folder,
            charge=0,
            mult=1,
            orcasimpleinput=self.simple_input,
            orcablocks=self.blocks,
        )

    def _executable(self) -> str:
        found = shutil.which(self.command)
        # GNOME's screen reader has the same name and would wait for a desktop.
        if found is None or b"chemistry" not in _banner(found).lower():
            raise CompBenchError(
                f"level {self.name} runs the program {self.command!r}, and the quantum chemistry package ORCA is not "
                "on PATH: install it from its authors, or use --level pbe-d3bj (PySCF)"
            )
        return found

    def _version(self) -> str:
        words = _banner(self._executable()).decode(errors="replace").split("Program Version")
        return words[1].split()[0] if len(words) > 1 else "unknown"


def _banner(command: str) -> bytes:
    """What the program prints when started without an input it can use."""
    try:
        done = subprocess.run(
            [command, "--version"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout + done.stderr
