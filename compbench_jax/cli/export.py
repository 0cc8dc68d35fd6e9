"""``compbench export``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Arguments:
    """Write a data set's frames, or a program for a trained run's energies and forces, to one file.

    For example:  compbench export data/mini --out mini.xyz
                  compbench export runs/mine --out mine.zip --batch 16

    A data set becomes extended XYZ, or an ASE database in LMDB (--out mini.aselmdb). A run becomes a StableHLO program
    with its parameters, lowered for cpu, cuda and tpu. `compbench_jax.exported.load(FILE)` runs it without the code of
    the model.
    """

    folder: tyro.conf.Positional[Path]
    """Folder of a data set or of a run."""

    out: Path
    """File to write."""

    format: Literal["auto", "extxyz", "aselmdb"] = "auto"
    """Of a data set: extended XYZ or an ASE database in LMDB; energies in eV, forces in eV/Å, with molecule and
    trajectory. auto: LMDB for .aselmdb."""

    which: Literal["best", "latest"] = "best"
    """Of a run: parameters of the lowest validation loss, or of the last checkpoint."""

    member: int | None = None
    """Of a run with several seeds: the ensemble member. Without it: the one with the lowest validation loss."""

    batch: int = 8
    """Of a run: maximum number of structures per batch."""

    nodes: int | None = None
    """Of a run: maximum number of atoms per batch. Without it: 32 per structure."""

    edges: int | None = None
    """Of a run: maximum number of neighbours of all atoms of a batch. Without it: 1.5 times the mean in training."""

    incoming: int | None = None
    """Of a run of a potential with angles: maximum neighbours of one atom. Without it: 2.5 times the mean."""

    symbolic: bool = False
    """Of a run: symbolic sizes; the program takes batches of any size and is compiled for each. Not available for every
    potential."""


def run(arguments: Arguments) -> None:
    """Export what the folder holds."""
    from compbench_jax.errors import CompBenchError

    if (arguments.folder / "manifest.json").is_file():
        export_store(arguments)
    elif (arguments.folder / "config.json").is_file():
        export_run(arguments)
    else:
        raise CompBenchError(
            f"{arguments.folder} is neither a data set (it has no manifest.json) nor a run (no config.json): give one"
        )


def export_store(arguments: Arguments) -> None:
    """Frames as extended XYZ or an ASE database in LMDB."""
    from compbench_jax.interchange.ase_lmdb import export_ase_lmdb
    from compbench_jax.interchange.export import export_extxyz
    from compbench_jax.store.store import open_store

    lmdb = arguments.format == "aselmdb" or (arguments.format, arguments.out.suffix) == ("auto", ".aselmdb")
    export = export_ase_lmdb if lmdb else export_extxyz
    count = export(open_store(arguments.folder, checksums=True), arguments.out)
    print(f"{arguments.out}: {count} frames")


def export_run(arguments: Arguments) -> None:
    """Energies and forces as a program."""
    from compbench_jax.deploy.export import Sizes, export_program
    from compbench_jax.training.loaded_run import load_run, with_precision

    trained = with_precision(load_run(arguments.folder, arguments.which, arguments.member))
    sizes = Sizes(arguments.batch, arguments.nodes, arguments.edges, arguments.incoming, arguments.symbolic)
    header = export_program(trained, sizes, arguments.out)
    shapes = ", ".join(f"{item['name']} {item['shape']}" for item in header["inputs"])
    print(f"{arguments.out}: {header['preset']} at step {header['step']}, for {', '.join(header['platforms'])}")
    print(f"inputs    {shapes}")
    print(f"run it    compbench_jax.exported.load('{arguments.out}').energies_and_forces([(numbers, positions), …])")
