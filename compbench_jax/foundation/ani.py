"""ANI-1x of torchani 2.2.4 as an ASE calculator: the mean of its eight networks, in float64.

Loaded by path in an environment that has torchani, so it imports nothing of the library. The networks come with the
package but the list of them (``ani-1x_8x.info``) is empty there, and torchani then tries to download everything: so the
parts are put together here, from the files that are there.
"""

from pathlib import Path

import numpy as np
import torch
import torchani
from ase.calculators.calculator import Calculator, all_changes
from torchani import neurochem

HARTREE = 27.211386245988
"""eV."""

NETWORKS = 8


class ANI1x(Calculator):
    """Energy in eV (with the atoms' self energies) and forces in eV/Å. Knows H, C, N and O."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        folder = Path(torchani.__file__).parent / "resources" / "ani-1x_8x"
        constants = neurochem.Constants(str(folder / "rHCNO-5.2R_16-3.5A_a4-8.params"))
        self.model = torchani.nn.Sequential(
            torchani.SpeciesConverter(constants.species),
            torchani.AEVComputer(**constants),
            neurochem.load_model_ensemble(constants.species, str(folder / "train"), NETWORKS),
            neurochem.load_sae(str(folder / "sae_linfit.dat")),
        ).double()

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Energy and forces of an isolated molecule."""
        super().calculate(atoms, properties, system_changes)
        unknown = set(atoms.numbers.tolist()) - {1, 6, 7, 8}
        if unknown:
            raise ValueError(f"ANI-1x does not know the atomic numbers {sorted(unknown)}")
        species = torch.tensor(atoms.numbers[None].astype(np.int64))
        positions = torch.tensor(atoms.positions[None], dtype=torch.float64, requires_grad=True)
        energy = self.model((species, positions)).energies.sum()
        (gradient,) = torch.autograd.grad(energy, positions)
        self.results = {"energy": HARTREE * energy.item(), "forces": -HARTREE * gradient[0].numpy()}
