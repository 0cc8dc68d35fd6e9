"""``compbench import`` (the word itself is a keyword, no module's name)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

if TYPE_CHECKING:
    from compbench_jax.interchange.importer import Imported, ImportPlan


@dataclass(frozen=True)
class Arguments:
    """Make a data set of the labelled frames in other programs' files.

    Reads ASE .traj, .db and .aselmdb (OMol25), extended XYZ (.xyz, .extxyz), .npz in the MD17 convention, and HDF5
    (.h5, .hdf5) with a group per molecule, as in SPICE. Molecules are identified by their bonds, not by file names; of
    each molecule the longest trajectory becomes the primary set (training), the others the secondary set (validation
    and ID test). Files NAME_total.traj and NAME_final.traj, as the benchmark's authors call them, are primary and
    secondary whatever their lengths. Repeated geometries and frames whose bonds changed are left out and reported. Run
    it with --dry-run first. Details: docs/importing.md.
    """

    paths: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="PATH ...")]]
    """Files, and folders that are searched recursively."""

    out: Path
    """Folder of the data set. Nothing is written elsewhere."""

    energy_unit: str | None = None
    """Unit of the energies: eV, kcal/mol, Hartree or kJ/mol. Required if a file does not state it (.npz, .xyz, .h5);
    .traj, .db and .aselmdb are in eV, ASE's convention, unless stated here."""

    length_unit: str | None = None
    """Unit of the positions: Ang or Bohr, under the same rules."""

    force_unit: str | None = None
    """Unit of the forces, if it is not energy unit over length unit, e.g. Hartree/Bohr with Ang."""

    energy_key: str | None = None
    """Key of the energy, if frames have several label sets, e.g. REF_energy. Together with --forces-key. Without both:
    energy and forces (E and F), or the first other pair of keys."""

    forces_key: str | None = None
    """Key of the forces of the same label set, e.g. REF_forces."""

    primary: tuple[str, ...] = ()
    """Patterns (* and ?) of file names or paths whose trajectories are primary. The rest is then secondary."""

    secondary: tuple[str, ...] = ()
    """Patterns of file names or paths whose trajectories are secondary."""

    tuning_frames: int | None = None
    """Leading frames of each secondary set for tuning, not in the ID test. Default: a fifth of the shortest set."""

    level_method: str | None = None
    """Method of the labels, for the record: PBE-D3(BJ), GFN2-xTB, …"""

    level_basis: str | None = None
    """Basis set of the labels: def2-TZVP, …"""

    level_program: str | None = None
    """Program that made the labels: ORCA, …"""

    dry_run: bool = False
    """Show what would be imported, and write no data set."""


def run(arguments: Arguments) -> None:
    """Import the files."""
    from compbench_jax.interchange.assign import Patterns
    from compbench_jax.interchange.importer import ImportPlan
    from compbench_jax.interchange.labels import LabelKeys
    from compbench_jax.interchange.sources import UnitChoice

    words = {
        "method": arguments.level_method,
        "basis": arguments.level_basis,
        "program": arguments.level_program,
    }
    plan = ImportPlan(
        paths=arguments.paths,
        out=arguments.out,
        units=UnitChoice(arguments.energy_unit, arguments.length_unit, arguments.force_unit),
        labels=LabelKeys(arguments.energy_key, arguments.forces_key),
        patterns=Patterns(arguments.primary, arguments.secondary),
        tuning_frames=arguments.tuning_frames,
        level={word: text for word, text in words.items() if text is not None},
        dry_run=arguments.dry_run,
    )
    import_and_report(plan)


def import_and_report(plan: "ImportPlan") -> "Imported":
    """Import with progress on the terminal, then print the table and the totals."""
    from compbench_jax.interchange.importer import import_files
    from compbench_jax.interchange.summary import summary_lines, summary_table

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    step = 1 if console.is_terminal else 20
    imported = import_files(
        plan,
        lambda done, total, source: (
            console.print(f"read {done}/{total} {source.name}", markup=False)
            if done % step == 0 or done == total
            else None
        ),
    )
    print(summary_table(imported))
    print("\n".join(summary_lines(imported)))
    frames = sum(len(piece.energy) for piece in imported.collection.pieces)
    verdict = "nothing was written (--dry-run)" if plan.dry_run else "written"
    print(f"{plan.out}: {frames} frames of {len(imported.manifest.molecules)} molecules, {verdict}")
    return imported
