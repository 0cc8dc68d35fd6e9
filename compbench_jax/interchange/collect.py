"""From files to trajectories of molecules: read, converted, identified, in one atom order, each geometry once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.duplicates import Duplicates
from compbench_jax.interchange.labels import LabelKeys, Labels
from compbench_jax.interchange.perceive import CHUNK, Species, find_species
from compbench_jax.interchange.sources import READERS, Source, UnitChoice
from compbench_jax.interchange.spool import Spool, centred
from compbench_jax.molecules.identify import Identifier
from compbench_jax.molecules.matching import match_order, reordered
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
        records: for each file its name, size, frames, units and label keys, as the manifest has them.
        levels: levels of theory that the frames state, each a tuple of (word, text) pairs.
    """

    graphs: dict[str, MolecularGraph] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    levels: set[tuple[tuple[str, str], ...]] = field(default_factory=set)


@dataclass
class _Part:
    """Frames of a file with the same atoms; lists run over them.

    Attributes:
        numbers: atomic numbers as the first of them orders them; the others are spooled in this order.
        index: number of the frame in the file.
        start: first atom in the file's spool.
        energy: eV.
        tag: set and segment that the file states, or None.
        time: fs, or None.
        temperature: K, NaN where unknown.
        sort: the order in which the frame's atoms were spooled; one array for all frames with the same elements.
    """

    numbers: np.ndarray
    index: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    tag: list[tuple[str, int] | None] = field(default_factory=list)
    time: list[float | None] = field(default_factory=list)
    temperature: list[float] = field(default_factory=list)
    sort: list[np.ndarray] = field(default_factory=list)


class Collector:
    """Reads files one after another into a :class:`Collection`; frames wait in ``kept``."""

    def __init__(self, folder: Path, choice: UnitChoice, keys: LabelKeys, kept: Spool, identifier: Identifier):
        self.collection = Collection()
        self._folder, self._choice, self._keys = folder, choice, keys
        self._kept, self._identifier = kept, identifier
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
        places: dict[bytes, tuple[_Part, np.ndarray]] = {}
        left_out: dict[str, list[tuple[int, str]]] = {}
        count, boxed, units, labels = 0, 0, None, None
        for frame in READERS[source.path.suffix.lower()][0](source.path, self._keys):
            count += 1
            if frame.left_out is not None:
                left_out.setdefault(frame.left_out[0], []).append((count - 1, frame.left_out[1]))
                continue
            if units is None or frame.units != (None, None, None):
                units = self._choice.units_of(source, frame.units)
            boxed += frame.in_box
            labels = _same_labels(source, count - 1, labels, frame.labels)
            elements = frame.numbers.tobytes()
            if elements not in places:
                ascending = np.argsort(frame.numbers, kind="stable")
                part = parts.setdefault(frame.numbers[ascending].tobytes(), _Part(frame.numbers))
                sort = np.empty_like(ascending)
                sort[np.argsort(part.numbers, kind="stable")] = ascending
                places[elements] = part, sort
            part, sort = places[elements]
            positions = centred(frame.positions * units.length)
            part.index.append(count - 1)
            part.start.append(spool.append(positions[sort], frame.forces[sort] * units.force))
            part.energy.append(frame.energy * units.energy)
            part.tag.append(frame.tag)
            part.time.append(frame.time)
            part.temperature.append(frame.temperature)
            part.sort.append(sort)
            self.collection.levels.add(tuple(sorted(frame.level.items())))
        for reason, frames in left_out.items():
            self.collection.dropped.append(Dropped(source, "?", reason, len(frames), tuple(frames[:EXAMPLES])))
        record: dict[str, Any] = {"file": source.name, "bytes": source.path.stat().st_size, "frames": count}
        if boxed:
            record["frames_in_box"] = boxed
        if units is not None and labels is not None:
            record |= {"energy_unit": units.energy_name, "length_unit": units.length_name}
            record |= {"energy_key": labels.energy, "forces_key": labels.forces, "other_labels": list(labels.others)}
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
        """Move the frames of one molecule to the kept ones, trajectory by trajectory, in one atom order."""
        rows, order_of = species.frames()
        # The molecule has the atom order of its first frame, as the file has it.
        to_first = np.argsort(species.orders[order_of[0]])[np.argsort(part.sort[rows[0]])]
        graph = reordered(species.identified.graph, to_first)
        key = graph.molecule.inchikey
        reference = self.collection.graphs.setdefault(key, graph)
        to_reference = match_order(graph, reference)
        if to_reference is None:  # the same InChIKey but another graph: another tautomer of a mobile proton
            examples = tuple((part.index[k], f"bonds of {graph.molecule.smiles}") for k in rows[:EXAMPLES])
            self.collection.dropped.append(Dropped(source, reference.molecule.name, CHANGED, len(rows), examples))
            return
        orders = np.stack(species.orders)[:, to_first[to_reference]]
        duplicates = self._duplicates.setdefault(key, Duplicates(graph.n_atoms))
        repeated: list[int] = []
        for tag, chosen in _trajectories(part, rows):
            kept_rows, start = [], self._kept.n_atoms
            for chunk in np.split(chosen, range(CHUNK, len(chosen), CHUNK)):
                order = orders[order_of[np.searchsorted(rows, chunk)]][..., None]
                r, f = (np.take_along_axis(array, order, axis=1) for array in gather(chunk))
                again = duplicates.repeated(r)
                repeated.extend(chunk[again].tolist())
                self._kept.append(r[~again], f[~again])
                kept_rows.append(chunk[~again])
            chosen = np.concatenate(kept_rows)
            if len(chosen):
                self.collection.pieces.append(
                    Piece(
                        source=source,
                        inchikey=key,
                        tag=tag,
                        start=start,
                        energy=np.array(part.energy)[chosen],
                        time=_times(part, chosen),
                        temperature=np.array(part.temperature, np.float32)[chosen],
                    )
                )
        if repeated:
            examples = tuple((part.index[k], "the same geometry came before") for k in sorted(repeated)[:EXAMPLES])
            self.collection.dropped.append(Dropped(source, reference.molecule.name, DUPLICATE, len(repeated), examples))


def _same_labels(source: Source, index: int, before: Labels | None, labels: Labels) -> Labels:
    """The label set of a file so far, which its further frames must keep to.

    Raises:
        DataError: they do not.
    """
    if before is None or before == labels:
        return labels
    if (before.energy, before.forces) != (labels.energy, labels.forces):
        raise DataError(
            f"{source.path}, frame {index} is labelled by {labels.energy} and {labels.forces}, the frames before it by "
            f"{before.energy} and {before.forces}: choose one label set with --energy-key and --forces-key"
        )
    return Labels(before.energy, before.forces, tuple(dict.fromkeys((*before.others, *labels.others))))


def _trajectories(part: _Part, rows: np.ndarray) -> Iterator[tuple[tuple[str, int] | None, np.ndarray]]:
    """The trajectories among some frames: those the file distinguishes, else one."""
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
def collector(folder: Path, choice: UnitChoice, keys: LabelKeys) -> Iterator[tuple[Collector, Spool]]:
    """A collector that keeps its frames in a folder, and the spool with them; both end with the context."""
    with Spool(folder, "kept") as kept, Identifier() as identifier:
        yield Collector(folder, choice, keys, kept, identifier), kept


def collect(reader: Collector, sources: Sequence[Source], on_file: Callable[[Source], None]) -> Collection:
    """Read all files; ``on_file`` is called after each."""
    for source in sources:
        reader.read(source)
        on_file(source)
    return reader.collection
