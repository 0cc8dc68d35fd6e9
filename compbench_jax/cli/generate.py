"""``compbench generate``."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.settings import PRESETS, SamplingSettings

if TYPE_CHECKING:
    from compbench_jax.molecules.molecule import Molecule


@dataclass(frozen=True)
class Arguments:
    """Sample molecules by Langevin dynamics and label every frame (GFN2-xTB, unless told otherwise).

    The result is a data set: a folder of flat arrays and a manifest. The same command resumes after an interruption.
    The result does not depend on the number and kind of workers.
    """

    out: Path
    """Folder of the data set."""

    preset: Literal["mini", "standard", "paper"] = "mini"
    """Frames per molecule: mini 40 + 30, standard 300 + 150, paper 2013 + 500 (primary + secondary)."""

    molecules: tuple[str, ...] = ()
    """Only these molecules, each by name, SMILES or InChIKey. Without it: the whole registry."""

    task: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Only the molecules of this task, e.g. fragment_duplication. Can be given several times."""

    training_frames: int = 0
    """Primary frames of each training molecule of the --task, where that should be more than of the others."""

    pairs: int = 0
    """Frames of each pair of training molecules of the --task, their fragments in contact, for `contacts(TASK)`."""

    registry: Literal["core", "extended"] = "core"
    """Registry to take the molecules from: core (118) or extended (262)."""

    reuse: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Data set with the same settings and level of theory. Its frames are copied; only missing frames are computed. Can
    be given several times."""

    level: str = "gfn2-xtb"
    """Level of theory of dynamics and labels: gfn2-xtb, gfn1-xtb, pbe-d3bj, orca-pbe-d3bj, or any ASE calculator by its
    import path (see `compbench relabel --help`). DFT takes minutes per frame: sample with gfn2-xtb, then relabel."""

    workers: int = 0
    """Workers, each a process with one thread. 0: one per core."""

    executor: Literal["processes", "dask"] = "processes"
    """Kind of workers: processes of this machine, or dask.distributed (docs/cluster.md). A worker that dies is
    replaced and its segment made again."""

    scheduler: str | None = None
    """Address of a running dask scheduler, e.g. tcp://10.0.0.1:8786, whose workers share --out with this machine. Trust
    it: its messages are pickles. Without it, --executor dask starts a cluster of this machine."""

    part: Annotated[str | None, tyro.conf.arg(metavar="K/N")] = None
    """Make only the K-th of N parts of the segments, for job arrays; the same command without --part then writes the
    data set."""

    segments: int | None = None
    """Trajectories per set, instead of the preset's. 1 gives the single trajectories of the paper."""

    settings: Annotated[dict[str, str], tyro.conf.arg(metavar="NAME VALUE ...")] = field(default_factory=dict)
    """Settings to change from the preset, in pairs: temperature (K), time_step (fs), friction (1/fs),
    equilibration (fs), spacing (fs), primary_frames, secondary_frames, tuning_frames, seed, max_attempts, …"""

    list_settings: bool = False
    """Print the settings that would be used, and stop."""


def resolve_settings(arguments: Arguments) -> SamplingSettings:
    """The preset with the changes asked for.

    Raises:
        CompBenchError: a setting that does not exist or a value that is not a number.
    """
    settings = PRESETS[arguments.preset]
    if arguments.segments is not None:
        settings = settings.with_segments(arguments.segments)
    changes: dict[str, Any] = {}
    for name, text in arguments.settings.items():
        key = name.replace("-", "_")
        if not hasattr(settings, key) or key.startswith("_") or callable(getattr(settings, key)):
            raise CompBenchError(f"no setting {name!r}: choose from {', '.join(vars(settings))}")
        kind = type(getattr(settings, key))
        words = {bool: "True or False", int: "a whole number", float: "a number"}
        try:
            changes[key] = {"true": True, "false": False}[text.casefold()] if kind is bool else kind(text)
        except (KeyError, ValueError) as error:
            raise CompBenchError(f"setting {name} is {text!r}: it must be {words[kind]}") from error
    return replace(settings, **changes)


def resolve_part(text: str | None) -> tuple[int, int] | None:
    """``"3/8"`` as ``(3, 8)``.

    Raises:
        CompBenchError: it is no such pair.
    """
    if text is None:
        return None
    pieces = text.split("/")
    if len(pieces) != 2 or not all(piece.isdecimal() for piece in pieces):
        raise CompBenchError(f"--part is {text!r}: give K/N, e.g. 3/8")
    return int(pieces[0]), int(pieces[1])


def sides_of(task: str, molecules: "tuple[Molecule, ...]") -> "list[tuple[Molecule, ...]]":
    """The training molecules of a task among these, and its OOD molecules."""
    from compbench_jax.molecules.graph import molecular_graph
    from compbench_jax.tasks import get_task

    chosen = get_task(task).molecules([molecular_graph(molecule) for molecule in molecules])
    return [tuple(molecules[k] for k in side) for side in (chosen.train, chosen.ood)]


def run(arguments: Arguments) -> None:
    """Make the store."""
    from compbench_jax.cli.progress import job_progress
    from compbench_jax.labelling.executors import make_executor
    from compbench_jax.labelling.levels import get_level
    from compbench_jax.molecules.registry import core_registry, extended_registry, find_molecule
    from compbench_jax.store.generate import Plan, generate, take_over

    console = Console(stderr=True)
    settings = resolve_settings(arguments)
    if arguments.list_settings:
        for name, value in vars(settings).items():
            print(f"{name:20} {value}")
        return
    get_level(arguments.level)  # a wrong name is told before anything is made
    part = resolve_part(arguments.part)
    executor = make_executor(arguments.executor, arguments.workers, arguments.scheduler)
    registry = core_registry() if arguments.registry == "core" else extended_registry()
    chosen = {find_molecule(text).inchikey for text in arguments.molecules}
    molecules = tuple(m for m in (extended_registry() if chosen else registry) if not chosen or m.inchikey in chosen)
    sides = [sides_of(task, molecules) for task in arguments.task]
    if sides:
        molecules = tuple(m for m in molecules if any(m in side for task in sides for side in task))
    trained = tuple(m for m in molecules if any(m in side for side, _ in sides))
    for name, frames in (("pairs", arguments.pairs), ("training-frames", arguments.training_frames)):
        if frames < 0 or (frames and not trained):
            raise CompBenchError(
                f"--{name} {frames}: give a number of frames, and the --task whose molecules are meant"
            )
    if 0 < arguments.training_frames <= settings.primary_frames:
        raise CompBenchError(
            f"--training-frames {arguments.training_frames}: every molecule has {settings.primary_frames} primary "
            "frames, give more"
        )
    plan = Plan(
        arguments.out, molecules, arguments.level, settings, arguments.preset, trained, arguments.training_frames,
        arguments.pairs,
    )  # fmt: skip
    pairs = len(plan.everything) - len(molecules)
    what = f"{len(molecules)} molecules" + (f", {pairs} pairs" if pairs else "")
    console.print(f"{what}, {executor.description}, {arguments.level}")
    for path in arguments.reuse:
        console.print(f"{path}: {take_over(plan, path)} segments taken over")
    with job_progress(console, "segments") as progress:
        try:
            manifest = generate(plan, executor, progress.start, progress.advance, part)
        except KeyboardInterrupt:
            console.print(f"interrupted at {progress.done} of {progress.total} segments: run the same command to go on")
            sys.exit(130)
    if manifest is None:
        console.print(f"part {arguments.part} is made: run the same command without --part when all parts are")
        return
    n_frames = manifest.files["energy.npy"].shape[0]
    console.print(f"{arguments.out}: {n_frames} frames of {what}, {len(manifest.rejected)} trajectories rejected")
