"""``compbench relabel``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Arguments:
    """Label the geometries of a data set at another level of theory.

    The new data set has the same molecules, sets and segments. The same command resumes after an interruption. A failed
    calculation is left out and listed; the others are kept.
    """

    data: tyro.conf.Positional[Path]
    """Folder of the data set whose geometries are labelled."""

    out: Path
    """Folder of the new data set."""

    level: str
    """Level of theory: gfn2-xtb, gfn1-xtb, pbe-d3bj (PySCF), orca-pbe-d3bj, or any ASE calculator by its import
    path with its keywords in JSON, such as 'tblite.ase:TBLite{"method": "GFN2-xTB"}'."""

    sample: int | None = None
    """Frames per molecule, evenly over its segments, of both sets in proportion. Without it: every frame."""

    molecules: tuple[str, ...] = ()
    """Only these molecules, each by name, SMILES or InChIKey. Without it: all of the data set."""

    workers: int = 0
    """Workers, each a process with one thread. 0: one per core."""

    executor: Literal["processes", "dask"] = "processes"
    """Kind of workers: processes of this machine, or dask.distributed (docs/cluster.md)."""

    scheduler: str | None = None
    """Address of a running dask scheduler whose workers share --out with this machine. Without it, --executor dask
    starts a cluster of this machine."""


def run(arguments: Arguments) -> None:
    """Make the store."""
    from rich.console import Console

    from compbench_jax.cli.progress import job_progress
    from compbench_jax.errors import CompBenchError
    from compbench_jax.labelling.executors import make_executor
    from compbench_jax.molecules.registry import find_molecule
    from compbench_jax.store.relabel import Relabelling, relabel
    from compbench_jax.store.store import open_store

    if arguments.sample is not None and arguments.sample < 1:
        raise CompBenchError(f"--sample is {arguments.sample}: give 1 frame per molecule or more")
    if arguments.out.resolve() == arguments.data.resolve():
        raise CompBenchError(f"--out {arguments.out} is the data set that is read: choose another folder")
    source = open_store(arguments.data, checksums=True)
    present = {graph.molecule.inchikey: i for i, graph in enumerate(source.graphs)}
    chosen = []
    for text in arguments.molecules:
        molecule = find_molecule(text)
        if molecule.inchikey not in present:
            raise CompBenchError(f"{arguments.data} has no frames of {molecule.name}: leave it out of --molecules")
        chosen.append(present[molecule.inchikey])
    plan = Relabelling(
        source, arguments.out, arguments.level, arguments.sample, tuple(sorted(chosen or present.values()))
    )
    console = Console(stderr=True)
    executor = make_executor(arguments.executor, arguments.workers, arguments.scheduler)
    with job_progress(console, "jobs") as progress:
        try:
            manifest = relabel(plan, executor, progress.start, progress.advance)
        except KeyboardInterrupt:
            console.print(f"interrupted at {progress.done} of {progress.total} jobs: run the same command to go on")
            sys.exit(130)
    n_frames = manifest.files["energy.npy"].shape[0]
    console.print(f"{arguments.out}: {n_frames} frames of {len(manifest.molecules)} molecules at {arguments.level}")
    for failure in manifest.rejected[:10]:
        console.print(f"left out: {failure['molecule']}, frame {failure['frame']}: {failure['reason']}")
    if len(manifest.rejected) > 10:
        console.print(f"and {len(manifest.rejected) - 10} more (in the manifest)")
