"""How soon a segment forgets its conformer: energy and temperature against time, without any equilibration.

    python benchmarks/equilibration.py ethane "propanoic acid" hexan-1-ol

Means over several segments, a column for every 50 fs; energies relative to the second half.
"""

import argparse
import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from compbench_jax.labelling.dynamics import run_segment
from compbench_jax.labelling.levels import LEVELS
from compbench_jax.labelling.settings import PRESETS
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", nargs="+", help="names, SMILES or InChIKeys")
    parser.add_argument("--segments", type=int, default=8)
    arguments = parser.parse_args()
    settings = replace(PRESETS["mini"], equilibration=0.0)
    for name in arguments.molecules:
        graph = molecular_graph(find_molecule(name))
        runs = [run_segment(graph, LEVELS["gfn2-xtb"], settings, "primary", k, 60) for k in range(arguments.segments)]
        energy = np.mean([run.energy for run in runs], axis=0).reshape(-1, 5).mean(axis=1)
        temperature = np.mean([run.temperature for run in runs], axis=0).reshape(-1, 5).mean(axis=1)
        print(f"{name}: energy (eV)     ", *(f"{x:+.3f}" for x in energy - energy[len(energy) // 2 :].mean()))
        print(f"{name}: temperature (K) ", *(f"{x:6.0f}" for x in temperature))


if __name__ == "__main__":
    main()
