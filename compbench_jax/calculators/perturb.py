"""The labels plus noise of a known size, as an ASE calculator: what the evaluator must find is known beforehand.

Loaded by path in a worker, so it imports nothing of the library.
"""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Perturb(Calculator):
    """Adds independent Gaussian noise to the labels that come with a frame (``atoms.info``, ``atoms.arrays``).

    A force MAE of ``force_sigma`` · √(2/π) must come out. The noise depends on the seed and the frame's number only.

    Args:
        force_sigma: eV/Å, of every force component.
        energy_sigma: eV, of every energy.
        seed: of the noise.
    """

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, force_sigma: float = 0.0, energy_sigma: float = 0.0, seed: int = 0):
        super().__init__()
        self.force_sigma, self.energy_sigma, self.seed = force_sigma, energy_sigma, int(seed)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Labels plus noise."""
        super().calculate(atoms, properties, system_changes)
        rng = np.random.default_rng([self.seed, int(atoms.info["frame"])])
        forces = atoms.get_array("label_forces")
        self.results = {
            "energy": atoms.info["label_energy"] + self.energy_sigma * rng.normal(),
            "forces": forces + self.force_sigma * rng.normal(size=forces.shape),
        }
