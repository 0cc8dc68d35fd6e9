"""Levels of theory: what turns a geometry into an energy and forces.

A level is one row of ``LEVELS``, or any ASE calculator by its import path. Labels never depend on the history of a
trajectory: every labelled geometry gets a self-consistent calculation of its own.
"""

from typing import Any, Protocol

import numpy as np

from compbench_jax.errors import CompBenchError, suggestion
from compbench_jax.labelling.ase_level import ASELevel
from compbench_jax.labelling.dft import PySCFLevel
from compbench_jax.labelling.orca import OrcaLevel
from compbench_jax.labelling.xtb import XTBLevel


class Level(Protocol):
    """What every level of theory has."""

    @property
    def name(self) -> str:
        """Key of the level on the command line."""
        ...

    @property
    def method(self) -> str:
        """Name of the method, as the manifest of a store records it."""
        ...

    @property
    def basis(self) -> str | None:
        """Basis set; None for methods that have none or bring their own."""
        ...

    @property
    def program(self) -> str:
        """Program that computes it."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Python distributions whose versions belong in the record."""
        ...

    @property
    def frames_per_job(self) -> int:
        """Frames worth handing to a worker at a time: about a second of work, or one frame."""
        ...

    def describe(self) -> dict[str, Any]:
        """The level in the words of QCSchema v2: method, basis, program, version, keywords."""
        ...

    def calculator(self, looseness: float = 1.0) -> Any:
        """An ASE calculator for dynamics, its SCF thresholds raised by a factor where the level can."""
        ...

    def label(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces F = −∇E in eV/Å ``[n_atoms, 3]`` at ``positions`` (Å)."""
        ...


LEVELS: dict[str, Level] = {
    level.name: level
    for level in (
        XTBLevel("gfn2-xtb", "GFN2-xTB"),
        XTBLevel("gfn1-xtb", "GFN1-xTB"),
        PySCFLevel("pbe-d3bj"),
        OrcaLevel("orca-pbe-d3bj"),
    )
}


def get_level(name: str) -> Level:
    """The level of this name: a key of ``LEVELS``, or ``module:callable{keywords}`` for any ASE calculator.

    Raises:
        CompBenchError: no such level.
    """
    if name in LEVELS:
        return LEVELS[name]
    if ":" in name.partition("{")[0]:
        return ASELevel.parse(name)
    raise CompBenchError(
        f"unknown level of theory {name!r}: {suggestion(name, LEVELS)} (or module:callable of an ASE calculator)"
    )


def level_described_by(description: dict[str, Any]) -> Level | None:
    """The level of ``LEVELS`` that a manifest describes; None for any other.

    Import paths are never followed from here: a manifest may come from anywhere.
    """
    wanted = [description.get(key) for key in ("method", "basis", "program")]
    return next((level for level in LEVELS.values() if [level.method, level.basis, level.program] == wanted), None)
