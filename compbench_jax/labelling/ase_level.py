"""Any ASE calculator as a level of theory, named by its import path."""

import importlib
import json
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError


@dataclass(frozen=True)
class ASELevel:
    """An ASE calculator made by calling ``module:callable`` with keywords.

    Attributes:
        name: ``module:callable`` or ``module:callable{"keyword": value, …}``, the keywords in JSON.
        program: the part before the keywords.
        keywords: passed to the callable.
    """

    name: str
    program: str
    keywords: dict[str, Any] = field(default_factory=dict)
    basis: str | None = None
    frames_per_job: int = 10

    @classmethod
    def parse(cls, name: str) -> "ASELevel":
        """Read a name.

        Raises:
            CompBenchError: the keywords are not a JSON object.
        """
        program, brace, rest = name.partition("{")
        try:
            keywords = json.loads(brace + rest) if brace else {}
        except json.JSONDecodeError as error:
            raise CompBenchError(
                f"level {name!r}: the keywords after {program!r} are not JSON ({error.msg}); "
                'write for instance module:callable{"method": "GFN2-xTB"}'
            ) from error
        return cls(name, program.strip(), keywords)

    @property
    def method(self) -> str:
        """The calculator's ``method`` or ``xc`` keyword where it has one, else its import path."""
        return str(self.keywords.get("method") or self.keywords.get("xc") or self.program)

    @property
    def packages(self) -> tuple[str, ...]:
        """The installed distributions that hold the module."""
        top = self.program.split(":")[0].split(".")[0]
        return tuple(sorted(set(metadata.packages_distributions().get(top, []))))

    def describe(self) -> dict[str, Any]:
        """The level in the words of QCSchema v2; charge and spin are whatever the calculator takes them to be."""
        return {
            "method": self.method,
            "basis": self.basis,
            "program": self.program,
            "version": ", ".join(f"{name} {metadata.version(name)}" for name in self.packages) or "unknown",
            "keywords": self.keywords,
        }

    def calculator(self, looseness: float = 1.0) -> Any:
        """A new calculator (``looseness`` is ignored: its thresholds are among its keywords).

        Raises:
            CompBenchError: the module or callable is not there, or does not take the keywords.
        """
        module, _, attribute = self.program.partition(":")
        try:
            factory = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise CompBenchError(
                f"level {self.name!r}: {error}: install the package that holds {module!r}, or correct the import path"
            ) from error
        try:
            return factory(**self.keywords)
        except (TypeError, ValueError) as error:
            raise CompBenchError(f"level {self.name!r}: the calculator refused its keywords: {error}") from error

    def label(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces in eV/Å ``[n_atoms, 3]`` at ``positions`` (Å), from a calculator of their own.

        Raises:
            ase.calculators.calculator.CalculationFailed: whatever the calculator raised; another frame may succeed.
        """
        from ase import Atoms
        from ase.calculators.calculator import CalculationFailed

        atoms = Atoms(numbers, positions, calculator=self.calculator())
        try:
            return float(atoms.get_potential_energy()), np.array(atoms.get_forces())
        except Exception as error:
            raise CalculationFailed(f"{type(error).__name__}: {error}") from error
