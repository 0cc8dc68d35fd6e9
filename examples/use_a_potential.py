"""Use a trained potential: predictions for a list of molecules, and dynamics in ASE."""

import sys

from ase import units
from ase.build import molecule
from ase.md.verlet import VelocityVerlet

import compbench_jax as cb

run = sys.argv[1] if len(sys.argv) > 1 else "runs/first-table"

molecules = [molecule(name) for name in ("C2H6", "CH4")]
energies, forces = cb.load_potential(run).predict(molecules)
for atoms, energy, force in zip(molecules, energies, forces, strict=True):
    print(f"{atoms.symbols}: {energy:.3f} eV, largest force component {abs(force).max():.3f} eV/Å")

atoms = molecules[0]
atoms.calc = cb.Calculator(run)
VelocityVerlet(atoms, timestep=0.5 * units.fs).run(10)
print(f"after 5 fs: {atoms.get_total_energy():.3f} eV")
