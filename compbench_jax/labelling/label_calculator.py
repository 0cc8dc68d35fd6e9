"""An ASE calculator over any level of theory: what drives dynamics at levels without a calculator of their own."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compbench_jax.labelling.levels import Level


def label_calculator(level: "Level") -> Any:
    """An ASE calculator whose energies (eV) and forces (eV/Å) are the level's labels."""
    from ase.calculators.calculator import Calculator, all_changes

    class LabelCalculator(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

        def calculate(
            self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
        ) -> None:
            super().calculate(atoms, properties, system_changes)
            assert self.atoms is not None
            energy, forces = level.label(self.atoms.numbers, self.atoms.positions)
            self.results = {"energy": energy, "forces": forces}

    return LabelCalculator()
