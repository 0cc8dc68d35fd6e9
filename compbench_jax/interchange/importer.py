"""Importing: files of other programs into a store."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.interchange.assign import Patterns, assign, tuning_frames
from compbench_jax.interchange.collect import Collection, collect, collector
from compbench_jax.interchange.frame import ATOM, CHARGED
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys
from compbench_jax.interchange.sources import Found, Source, UnitChoice, find_sources
from compbench_jax.interchange.spool import FILES, Spool
from compbench_jax.molecules.registry import extended_registry
from compbench_jax.store.manifest import MANIFEST, Manifest, file_sha256
from compbench_jax.store.target import SHARDS, check_target, writing
from compbench_jax.store.writer import Trajectory, write_store

WORK = ".import"
"""Folder within ``--out`` where frames wait; removed at the end."""

LEVEL_WORDS = ("method", "basis", "program")
UNKNOWN_METHOD = "unknown"


@dataclass(frozen=True)
class ImportPlan:
    """What to import, and how.

    Attributes:
        paths: files and folders.
        out: folder of the store.
        root: folder that files given by ``paths`` are named from; None to name them by themselves.
        units: what the user says of units.
        labels: what the user says of the keys of energies and forces.
        patterns: what the user says of sets.
        tuning_frames: leading secondary frames that tune; None for a fifth of the shortest secondary set.
        level: words of the level of theory that the user states (``method``, ``basis``, ``program``).
        origin: further settings for the manifest, e.g. the repository and revision of a download.
        dry_run: stop before the store is written.
    """

    paths: tuple[Path, ...]
    out: Path
    root: Path | None = None
    units: UnitChoice = field(default_factory=UnitChoice)
    labels: LabelKeys = ANY_KEYS
    patterns: Patterns = field(default_factory=Patterns)
    tuning_frames: int | None = None
    level: dict[str, str] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True)
class Imported:
    """The outcome of an import, or of its dry run.

    Attributes:
        found: the files.
        collection: what they hold.
        sets: set and segment of every trajectory, in the order of ``collection.pieces``.
        manifest: of the store; the arrays are listed only where they were written.
    """

    found: Found
    collection: Collection
    sets: list[tuple[str, int]]
    manifest: Manifest


def import_files(plan: ImportPlan, on_file: Callable[[int, int, Source], None] = lambda *_: None) -> Imported:
    """Import files into the store ``plan.out``, or only say what would be imported.

    One frame of a file is in memory at a time while it is read, and a few thousand of one molecule while bonds are
    compared; frames wait on disk in ``out`` until the store is written. An interrupted import leaves no store.

    Args:
        plan: what to import.
        on_file: called after each file with its number, their number and the file.

    Raises:
        CompBenchError: nothing to import, ``out`` holds a store or a file of the user's that would be replaced, another
            process writes into it, or an option does not fit the files.
        DataError: a file is damaged, in unknown units, or has a frame that is not fully labelled.
    """
    found = find_sources(plan.paths, plan.root)
    plan.patterns.check(found.sources)
    total = len(found.sources)
    with _work_folder(plan.out) as folder, collector(folder, plan.units, plan.labels) as (reader, kept):
        collection = collect(
            reader, found.sources, lambda source: on_file(len(reader.collection.records), total, source)
        )
        if not collection.pieces:
            raise _nothing(collection, found.sources)
        sets = assign(collection.pieces, plan.patterns)
        names = [name for name, _ in sets]
        molecules = _order(collection)
        graphs = [collection.graphs[key] for key in molecules]
        manifest = Manifest(
            molecules=tuple(graph.molecule for graph in graphs),
            n_atoms=(),
            n_bonds=(),
            level=_level(plan, collection),
            settings=_settings(plan, collection, found),
            tuning_frames=tuning_frames(collection.pieces, names, plan.tuning_frames),
            rejected=tuple(
                {
                    "file": item.source.name,
                    "molecule": item.molecule,
                    "reason": item.reason,
                    "frames": item.count,
                    "examples": [{"frame": index, "detail": detail} for index, detail in item.examples],
                }
                for item in collection.dropped
            ),
            created={
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in ("compbench_jax", "numpy", "rdkit")},
            },
        )
        if not plan.dry_run:
            manifest = write_store(plan.out, manifest, graphs, _trajectories(collection, sets, molecules, kept))
    return Imported(found, collection, sets, manifest)


def _nothing(collection: Collection, sources: Sequence[Source]) -> DataError:
    """Why no frame at all can be imported."""
    why, advice = "the files hold no frames", "give others"
    if collection.dropped:
        first = collection.dropped[0]
        why = f"{first.source.name} frame {first.examples[0][0]}: {first.examples[0][1]}"
        neutral = "only neutral molecules with closed shells are taken"
        advice = {CHARGED: neutral, ATOM: "only molecules are taken"}.get(first.reason, "are the units right?")
    return DataError(
        f"none of the frames in {sources[0].path}{' …' * (len(sources) > 1)} can be imported ({why}): {advice}"
    )


def check_free(out: Path) -> None:
    """Refuse a folder that holds a store, or one that is being generated, or a path that is no folder.

    Raises:
        CompBenchError: it is such.
    """
    if out.exists() and not out.is_dir():
        raise CompBenchError(f"{out} is a file: choose another --out")
    for name in (MANIFEST, SHARDS):
        if (out / name).exists():
            raise CompBenchError(f"{out} already holds a data set: choose another --out, or remove it")


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """The folder where frames wait, in ``out``; afterwards both are gone, unless ``out`` has other content."""
    check_free(out)
    with writing(out):
        check_free(out)  # again: another process may have finished
        folder = out / WORK
        begun = os.path.lexists(folder)  # left by an import that was killed
        if begun and (folder.is_symlink() or not folder.is_dir() or set(os.listdir(folder)) - set(FILES)):
            raise CompBenchError(f"{folder} is in the way: move it, or choose another --out")
        check_target(out, begun)
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _order(collection: Collection) -> list[str]:
    """InChIKeys of the molecules that kept frames: the registry's in its order, then the others as they came."""
    present = {piece.inchikey for piece in collection.pieces}
    registry = [molecule.inchikey for molecule in extended_registry()]
    known = set(registry)
    return [key for key in registry if key in present] + [
        key for key in collection.graphs if key in present and key not in known
    ]


def _level(plan: ImportPlan, collection: Collection) -> dict[str, Any]:
    """The level of theory: what the user states, else what every frame states alike, else unknown."""
    words = dict(plan.level)
    if not words and len(collection.levels) == 1:
        words = dict(next(iter(collection.levels)))
    level: dict[str, Any] = {word: words.get(word) for word in LEVEL_WORDS}
    return {**level, "method": level["method"] or UNKNOWN_METHOD, "version": None, "keywords": {}}


def _settings(plan: ImportPlan, collection: Collection, found: Found) -> dict[str, Any]:
    files = collection.records
    if not plan.dry_run:
        pairs = zip(files, found.sources, strict=True)
        files = [{**record, "sha256": file_sha256(source.path)} for record, source in pairs]
    stated = all(piece.tag is not None for piece in collection.pieces)
    return {
        "preset": "import",
        **plan.origin,
        "time": "as the files state" if stated else "number of the frame, where the file states no time",
        "sources": files,
    }


def _trajectories(
    collection: Collection, sets: Sequence[tuple[str, int]], molecules: Sequence[str], kept: Spool
) -> list[Trajectory]:
    index = {key: i for i, key in enumerate(molecules)}
    positions, forces = kept.maps()
    trajectories = []
    for piece, (name, segment) in zip(collection.pieces, sets, strict=True):
        shape = (len(piece.energy), collection.graphs[piece.inchikey].n_atoms, 3)
        rows = slice(piece.start, piece.start + shape[0] * shape[1])
        trajectories.append(
            Trajectory(
                molecule=index[piece.inchikey],
                set=name,
                segment=segment,
                positions=positions[rows].reshape(shape),
                forces=forces[rows].reshape(shape),
                energy=piece.energy,
                time=piece.time,
                temperature=piece.temperature,
            )
        )
    return trajectories
