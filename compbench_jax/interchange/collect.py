"""From files to trajectories of molecules: read, converted, identified, in one atom order, each geometry once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.interchange.duplicates import Duplicates
from compbench_jax.interchange.perceive import CHUNK, Species, find_species
from compbench_jax.interchange.sources import READERS, Source, UnitChoice
from compbench_jax.interchange.spool import Spool
from compbench_jax.molecules.identify import Identifier
from compbench_jax.molecules.matching import match_order
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import ragged_indices

CHANGED = "bonds changed"
DUPLICATE = "duplicate"
UNKNOWN = "no molecule"
EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class Piece:
    """Frames of one molecule and trajectory of one file.

    Attributes:
        source: the file.
        inchikey: the molecule.
        tag: set and segment that the file states, or None.
        start: first atom in the spool of kept frames.
        energy: eV, ``[n_frames]``.
        time: fs (the number of the frame, where the file states none), ``[n_frames]``.
        temperature: K, NaN where unknown, ``[n_frames]``.
    """

    source: Source
    inchikey: str
    tag: tuple[str, int] | None
    start: int
    energy: np.ndarray
    time: np.ndarray
    temperature: np.ndarray


@dataclass(frozen=True)
class Dropped:
    """Frames left out of a file for one reason: how many, and the first of them."""

    source: Source
    molecule: str
    reason: str
    count: int
    examples: tuple[tuple[int, str], ...]


@dataclass
class Collection:
    """What was found in all files.

    Attributes:
        graphs: by InChIKey, each molecule with its atom order: that of the file in which it came first.
        pieces: the trajectories, in the order of the files.
        dropped: what was left out.
        records: for each file its name, size, frames and units, as the manifest has them.
        levels: levels of theory that the frames state, each a tuple of (word, text) pairs.
    """

    graphs: dict[str, MolecularGraph] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    levels: set[tuple[tuple[str, str], ...]] = field(default_factory=set)


@dataclass
class _Part:
    """Frames of a file with the same sequence of elements; lists run over them."""

    numbers: np.ndarray
    index: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    tag: list[tuple[str, int] | None] = field(default_factory=list)
    time: list[float | None] = field(default_factory=list)
    temperature: list[float] = field(default_factory=list)


class Collector:
    """Reads files one after another into a :class:`Collection`; frames wait in ``kept``."""

    def __init__(self, folder: Path, choice: UnitChoice, kept: Spool, identifier: Identifier):
        self.collection = Collection()
        self._folder, self._choice, self._kept, self._identifier = folder, choice, kept, identifier
        self._duplicates: dict[str, Duplicates] = {}

    def read(self, source: Source) -> None:
        """Read one file.

        Raises:
            DataError: the file is damaged, in unknown units, or has a frame that is not fully labelled.
        """
        with Spool(self._folder, "file") as spool:
            for part in self._parts(source, spool):
                self._take(source, part, spool)

    def _parts(self, source: Source, spool: Spool) -> list[_Part]:
        parts: dict[bytes, _Part] = {}
        count, units = 0, None
        for frame in READERS[source.path.suffix.lower()][0](source.path):
            if count == 0 or frame.units is not None:
                units = self._choice.units_of(source, frame.units)
            assert units is not None
            part = parts.setdefault(frame.numbers.tobytes(), _Part(frame.numbers))
            part.index.append(count)
            part.start.append(spool.append(frame.positions * units.length, frame.forces * units.force))
            part.energy.append(frame.energy * units.energy)
            part.tag.append(frame.tag)
            part.time.append(frame.time)
            part.temperature.append(frame.temperature)
            self.collection.levels.add(tuple(sorted(frame.level.items())))
            count += 1
        record: dict[str, Any] = {"file": source.name, "bytes": source.path.stat().st_size, "frames": count}
        if units is not None:
            record |= {"energy_unit": units.energy_name, "length_unit": units.length_name}
        self.collection.records.append(record)
        return list(parts.values())

    def _take(self, source: Source, part: _Part, spool: Spool) -> None:
        positions, forces = spool.maps()
        n_atoms, start = len(part.numbers), np.array(part.start)

        def gather(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
            return array[ragged_indices(start[rows], np.full(len(rows), n_atoms))].reshape(len(rows), n_atoms, 3)

        found, reasons = find_species(
            self._identifier, part.numbers, np.array(part.energy), lambda rows: gather(positions, rows)
        )
        if reasons:
            name = found[0].identified.molecule.name if found else "?"
            examples = [(part.index[k], reason) for k, reason in list(reasons.items())[:EXAMPLES]]
            kind = CHANGED if found else UNKNOWN
            self.collection.dropped.append(Dropped(source, name, kind, len(reasons), tuple(examples)))
        for species in found:
            self._keep(source, part, species, lambda rows: (gather(positions, rows), gather(forces, rows)))

    def _keep(
        self,
        source: Source,
        part: _Part,
        species: Species,
        gather: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    ) -> None:
        """Move the frames of one molecule to the kept ones, trajectory by trajectory."""
        graph = species.identified.graph
        key = graph.molecule.inchikey
        reference = self.collection.graphs.setdefault(key, graph)
        order = match_order(graph, reference)
        if order is None:  # the same InChIKey but another graph: another tautomer of a mobile proton
            examples = tuple((part.index[k], f"bonds of {graph.molecule.smiles}") for k in species.rows[:EXAMPLES])
            self.collection.dropped.append(
                Dropped(source, reference.molecule.name, CHANGED, len(species.rows), examples)
            )
            return
        duplicates = self._duplicates.setdefault(key, Duplicates(graph.n_atoms))
        repeated: list[int] = []
        for tag, rows in _trajectories(part, species.rows):
            kept_rows, start = [], self._kept.n_atoms
            for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK)):
                r, f = (array[:, order] for array in gather(chunk))
                again = duplicates.repeated(r)
                repeated.extend(chunk[again].tolist())
                self._kept.append(r[~again], f[~again])
                kept_rows.append(chunk[~again])
            rows = np.concatenate(kept_rows)
            if len(rows):
                self.collection.pieces.append(
                    Piece(
                        source=source,
                        inchikey=key,
                        tag=tag,
                        start=start,
                        energy=np.array(part.energy)[rows],
                        time=_times(part, rows),
                        temperature=np.array(part.temperature, np.float32)[rows],
                    )
                )
        if repeated:
            examples = tuple((part.index[k], "the same geometry came before") for k in sorted(repeated)[:EXAMPLES])
            self.collection.dropped.append(Dropped(source, reference.molecule.name, DUPLICATE, len(repeated), examples))


def _trajectories(part: _Part, rows: np.ndarray) -> Iterator[tuple[tuple[str, int] | None, np.ndarray]]:
    """The trajectories among some frames: those the file tells apart, else one."""
    groups: dict[tuple[str, int] | None, list[int]] = {}
    for k in rows.tolist():
        groups.setdefault(part.tag[k], []).append(k)
    for tag, members in groups.items():
        times = [part.time[k] for k in members]
        if tag is not None and None not in times:
            members = [members[i] for i in np.argsort(np.array(times, float), kind="stable")]
        yield tag, np.array(members, np.int64)


def _times(part: _Part, rows: np.ndarray) -> np.ndarray:
    """Times of the frames where the file states them and they rise, else the numbers of the frames."""
    times = [part.time[k] for k in rows.tolist()]
    if None not in times:
        stated = np.array(times, np.float32)
        if (np.diff(stated) > 0).all():
            return stated
    rank = np.argsort(np.argsort(part.index))
    return rank[rows].astype(np.float32)


@contextmanager
def collector(folder: Path, choice: UnitChoice) -> Iterator[tuple[Collector, Spool]]:
    """A collector that keeps its frames in a folder, and the spool with them; both end with the context."""
    with Spool(folder, "kept") as kept, Identifier() as identifier:
        yield Collector(folder, choice, kept, identifier), kept


def collect(reader: Collector, sources: Sequence[Source], on_file: Callable[[Source], None]) -> Collection:
    """Read all files; ``on_file`` is called after each."""
    for source in sources:
        reader.read(source)
        on_file(source)
    return reader.collection
