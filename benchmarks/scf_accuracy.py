"""What loose SCF thresholds along a trajectory save, and how far their forces are from converged ones.

    python benchmarks/scf_accuracy.py butane decane "tridecanoic acid"

Milliseconds of the processor a step and the largest error of a force component, for several accuracies of tblite.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from compbench_jax.labelling.integrator import BAOAB
from compbench_jax.labelling.xtb_calculator import xtb_calculator
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", nargs="+", help="names, SMILES or InChIKeys")
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    from ase import Atoms, units
    from ase.md.velocitydistribution import thermalize_momenta

    for name in arguments.molecules:
        molecule = find_molecule(name)
        for accuracy in (0.01, 1.0, 10.0, 100.0):
            rng = np.random.default_rng(0)
            numbers = molecular_graph(molecule).numbers
            atoms = Atoms(numbers, conformer(molecule, 1), calculator=xtb_calculator("GFN2-xTB", accuracy))
            thermalize_momenta(atoms, 600.0, rng=rng)
            dynamics = BAOAB(atoms, 0.5 * units.fs, temperature_K=300.0, T_tau=50 * units.fs, rng=rng)
            dynamics.run(10)
            start = time.process_time()
            dynamics.run(arguments.steps)
            milliseconds = 1000 * (time.process_time() - start) / arguments.steps
            converged = Atoms(numbers, atoms.positions, calculator=xtb_calculator("GFN2-xTB", 1e-4))
            error = np.abs(converged.get_forces() - atoms.get_forces()).max()
            print(
                f"{name}, accuracy {accuracy:g}: {milliseconds:.1f} ms a step, forces within {error:.1e} eV/Å",
                flush=True,
            )


if __name__ == "__main__":
    main()
