"""``compbench generate``."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.levels import LEVELS
from compbench_jax.labelling.settings import PRESETS, SamplingSettings


@dataclass(frozen=True)
class Arguments:
    """Sample molecules by Langevin dynamics and label every frame with GFN2-xTB.

    The result is a store: a folder of flat arrays and a manifest. Interrupt it whenever you like; the same command goes
    on where it was. The result does not depend on who works, nor on how many.
    """

    out: Path
    """Folder of the store."""

    preset: Literal["mini", "standard", "paper"] = "mini"
    """Frames a molecule: mini 40 + 30, standard 300 + 150, paper 2013 + 500 (primary + secondary)."""

    molecules: tuple[str, ...] = ()
    """Only these molecules, each by name, SMILES or InChIKey. Without it: the whole registry."""

    registry: Literal["core", "extended"] = "core"
    """Registry to take the molecules from: core (118) or extended (177)."""

    level: str = "gfn2-xtb"
    """Level of theory of dynamics and labels: gfn2-xtb or gfn1-xtb."""

    workers: int = 0
    """Workers, each a process with one thread. 0: one a core."""

    executor: Literal["processes", "dask"] = "processes"
    """Who runs the segments: processes of this machine, or dask.distributed (docs/cluster.md). A worker that dies is
    replaced and its segment made again."""

    scheduler: str | None = None
    """Address of a running dask scheduler, e.g. tcp://10.0.0.1:8786, whose workers share --out with this machine. Trust
    it: its messages are pickles. Without it, --executor dask starts a cluster of this machine."""

    part: Annotated[str | None, tyro.conf.arg(metavar="K/N")] = None
    """Make only the K-th of N parts of the segments, for job arrays; the same command without --part then puts the
    store together."""

    segments: int | None = None
    """Trajectories a set, instead of the preset's. 1 gives the single trajectories of the paper."""

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
        try:
            changes[key] = kind(text)
        except ValueError as error:
            raise CompBenchError(
                f"setting {name} is {text!r}: it must be {'a whole number' if kind is int else 'a number'}"
            ) from error
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


def run(arguments: Arguments) -> None:
    """Make the store."""
    from compbench_jax.labelling.executors import make_executor
    from compbench_jax.molecules.registry import core_registry, extended_registry, find_molecule
    from compbench_jax.store.generate import Plan, generate

    console = Console(stderr=True)
    settings = resolve_settings(arguments)
    if arguments.list_settings:
        for name, value in vars(settings).items():
            print(f"{name:20} {value}")
        return
    if arguments.level not in LEVELS:
        raise CompBenchError(f"unknown level of theory {arguments.level!r}: choose one of {', '.join(LEVELS)}")
    part = resolve_part(arguments.part)
    executor = make_executor(arguments.executor, arguments.workers, arguments.scheduler)
    registry = core_registry() if arguments.registry == "core" else extended_registry()
    chosen = {find_molecule(text).inchikey for text in arguments.molecules}
    molecules = tuple(m for m in (extended_registry() if chosen else registry) if not chosen or m.inchikey in chosen)
    plan = Plan(arguments.out, molecules, arguments.level, settings, arguments.preset)
    columns = (
        TextColumn("segments"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("segments")
        state = {"done": 0, "total": 0}

        def on_start(done: int, total: int) -> None:
            state.update(done=done, total=total)
            progress.update(bar, completed=done, total=total)
            found = f", {done} already done" if done else ""
            console.print(
                f"{len(molecules)} molecules, {total} segments{found}, {executor.description}, {arguments.level}"
            )

        def on_done() -> None:
            state["done"] += 1
            progress.advance(bar)
            if not console.is_terminal and state["done"] % max(1, state["total"] // 20) == 0:
                console.print(f"segments {state['done']}/{state['total']}")

        try:
            manifest = generate(plan, executor, on_start, on_done, part)
        except KeyboardInterrupt:
            console.print(f"interrupted at {state['done']} of {state['total']} segments: run the same command to go on")
            sys.exit(130)
    if manifest is None:
        console.print(f"part {arguments.part} is made: run the same command without --part when all parts are")
        return
    n_frames = manifest.files["energy.npy"].shape[0]
    console.print(
        f"{arguments.out}: {n_frames} frames of {len(manifest.molecules)} molecules, "
        f"{len(manifest.rejected)} trajectories rejected"
    )
