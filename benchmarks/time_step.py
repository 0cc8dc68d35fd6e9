"""Does a time step of 1 fs sample what 0.5 fs samples? Energies, bond lengths and temperatures of both, side by side.

    python benchmarks/time_step.py ethane ethanol "propanoic acid"

Settings of the standard set but for time step and length of the segments. Means over segments ± their standard error.
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
    parser.add_argument("--segments", type=int, default=16)
    parser.add_argument("--frames", type=int, default=60, help="frames of a segment, 10 fs apart")
    arguments = parser.parse_args()
    for name in arguments.molecules:
        graph = molecular_graph(find_molecule(name))
        first, second = graph.bonds.T
        hydrogen = (graph.numbers[first] == 1) | (graph.numbers[second] == 1)
        for time_step in (0.5, 1.0):
            settings = replace(PRESETS["standard"], time_step=time_step)
            rows = []
            for k in range(arguments.segments):
                run = run_segment(graph, LEVELS["gfn2-xtb"], settings, "primary", k, arguments.frames)
                length = np.linalg.norm(run.positions[:, first] - run.positions[:, second], axis=-1)
                spread = length.std(axis=0)
                forces = np.abs(run.forces).mean()
                rows.append([run.energy.mean(), forces, *(spread[part].mean() for part in (hydrogen, ~hydrogen)),
                             run.temperature.mean()])  # fmt: skip
            mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
            names = ("E (eV)", "|F| (eV/Å)", "X-H spread (Å)", "heavy spread (Å)", "T (K)")
            shown = (f"{n} {m:.4f} ± {e:.4f}" for n, m, e in zip(names, mean, error, strict=True))
            print(f"{name}, {time_step} fs: " + "; ".join(shown), flush=True)


if __name__ == "__main__":
    main()
