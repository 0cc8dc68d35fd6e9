"""A split of one's own: a JSON file that names the molecules or the frames of each set."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compbench_jax.errors import CompBenchError, TaskError, suggestion
from compbench_jax.files import read_json, write_atomically
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import MoleculeSplit, check_split, shared_molecules
from compbench_jax.splits.frames import molecule_disjoint_split
from compbench_jax.splits.split import PARTS, Split
from compbench_jax.splits.task import Task
from compbench_jax.store.store import FrameStore

FORMAT = "compbench-split"
VERSION = 1
FILE = "own_split.json"
"""The split of a run that was trained on one of one's own, in its folder."""

SIDES = ("train", "ood_test")


@dataclass(frozen=True)
class OwnSplit(Task, control=True):
    """A task that a file defines.

    ``{"format": "compbench-split", "version": 1, "name": "mine"}`` and one of

    - ``"molecules": {"train": [...], "ood_test": [...]}``: names or InChIKeys. Primary frames of the trained molecules
      train, their secondary frames tune and test ID, primary frames of the others test OOD, as in the benchmark;
    - ``"frames": {"train": [[0, 40], ...], "validation": ..., "id_test": ..., "ood_test": ...}``: ranges of frames,
      from the first number up to but without the second. ``"data"`` is the hash of the data set then.

    Attributes:
        path: of the file.
        task: name of the task that made it, of the split that a run keeps; otherwise empty.
    """

    kind: ClassVar[str] = "split"
    principle: ClassVar[str] = "a split of one's own"
    question: ClassVar[str] = "What does the potential lose on the frames that a file names?"
    trained_on: ClassVar[str] = "the molecules or frames that the file names"
    tested_on: ClassVar[str] = "others that it names"

    path: str
    task: str = ""

    @property
    def name(self) -> str:
        """``split(NAME)``, or that of the task which made it."""
        return self.task or f"split({self.content()['name']})"

    def content(self) -> dict[str, Any]:
        """The file, its form checked.

        Raises:
            TaskError: it is no split, or of a newer version.
        """
        path = Path(self.path)
        try:
            content = read_json(path)
        except CompBenchError as error:
            raise TaskError(str(error)) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise TaskError(f"{path} is no split (it has no format {FORMAT!r}): make one with `compbench split`")
        if content.get("version") != VERSION:
            raise TaskError(
                f"{path} is of version {content.get('version')!r}, this program reads {VERSION}: upgrade it"
            )
        name = content.get("name")
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
            raise TaskError(f"{path}: its name is {name!r}: give letters, digits, dashes and underscores")
        form = [key for key in ("molecules", "frames") if key in content]
        if len(form) != 1:
            raise TaskError(f"{path} has {' and '.join(form) or 'neither molecules nor frames'}: give one of the two")
        sets, wanted = content[form[0]], SIDES if form == ["molecules"] else PARTS
        if (
            not isinstance(sets, dict)
            or set(sets) != set(wanted)
            or not all(isinstance(v, list) for v in sets.values())
        ):
            raise TaskError(f"{path}: {form[0]} must have the lists {', '.join(wanted)}")
        return content

    def select(self, graphs: Sequence[MolecularGraph]) -> MoleculeSplit:
        """Molecules by name or InChIKey.

        Raises:
            TaskError: the file names frames, or a molecule that is not there.
        """
        content = self.content()
        if "molecules" not in content:
            raise TaskError(f"{self.path} names frames, not molecules: it has no random control")
        place: dict[str, list[int]] = {}
        for index, graph in enumerate(graphs):
            for key in {graph.molecule.name, graph.molecule.inchikey}:
                place.setdefault(key, []).append(index)
        sides = []
        for side in SIDES:
            unknown = [key for key in content["molecules"][side] if not isinstance(key, str) or key not in place]
            if unknown:
                hint = suggestion(str(unknown[0]), place)
                raise TaskError(f"{self.path}: the data set has no molecule {unknown[0]!r}: {hint}")
            sides.append(tuple(sorted({index for key in content["molecules"][side] for index in place[key]})))
        return MoleculeSplit(*sides)

    def split(self, store: FrameStore) -> Split:
        """The four sets of frames.

        Raises:
            TaskError: the file is of another data set, names frames that are not there, or a frame twice.
        """
        content = self.content()
        if "molecules" in content:
            return molecule_disjoint_split(store, self.name, self.molecules(store.graphs))
        if content.get("data") not in (None, store.hash):
            raise TaskError(f"{self.path} names frames of another data set than {store.path}: make a split of this one")
        sets = {part: _frames(content["frames"][part], store.n_frames, f"{self.path}: {part}") for part in PARTS}
        train, validation, id_test, ood_test = (sets[part] for part in PARTS)
        split = Split(self.name, train, validation, id_test, ood_test)
        shared = any(shared_molecules(store, sets[part], split.ood_test) for part in PARTS[:3])
        split = replace(split, molecule_disjoint=not shared)
        check_split(store, split)
        return split


def _frames(ranges: Sequence[Any], n_frames: int, where: str) -> np.ndarray:
    """Frames of ranges, int64, ascending.

    Raises:
        TaskError: one is no range of frames of the data set.
    """
    found = []
    for item in ranges:
        good = isinstance(item, list) and len(item) == 2 and all(type(x) is int for x in item)
        if not good or not 0 <= item[0] < item[1]:
            raise TaskError(f"{where} has {item!r}: give ranges of frames, [first, last + 1]")
        if item[1] > n_frames:
            raise TaskError(f"{where} has {item!r}, which are not in the data set: it holds frames 0 to {n_frames - 1}")
        found.append(np.arange(*item, dtype=np.int64))
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)


def ranges_of(frames: np.ndarray) -> list[list[int]]:
    """Ascending frames as ranges."""
    if not len(frames):
        return []
    cuts = np.flatnonzero(np.diff(frames) != 1) + 1
    return [[int(part[0]), int(part[-1]) + 1] for part in np.split(np.asarray(frames), cuts)]


def write_own_split(path: Path, store: FrameStore, name: str, frames: Mapping[str, np.ndarray]) -> None:
    """Write a split by frames."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "data": store.hash,
        "frames": {part: ranges_of(frames[part]) for part in PARTS},
    }
    text = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    write_atomically(path, f"{{\n{text}\n}}\n".encode())


def random_frames(store: FrameStore, seed: int, test: float) -> dict[str, np.ndarray]:
    """All molecules in all sets, frames at random: ``test`` of each molecule's frames test, half of them as ID, half as
    OOD; a tenth of the others tune. The two test sets differ by chance only.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for molecule in range(len(store.graphs)):
        frames = rng.permutation(np.flatnonzero(store.molecule == molecule))
        n_test = max(2, round(test * len(frames)))
        n_tune = max(1, round(0.1 * (len(frames) - n_test)))
        parts = np.split(frames, [n_test // 2, n_test, n_test + n_tune])
        for part, own in zip(("ood_test", "id_test", "validation", "train"), parts, strict=True):
            found[part].append(own)
    return {part: np.sort(np.concatenate(own)) for part, own in found.items()}


def by_molecule(store: FrameStore, held_out: Sequence[int], seed: int, test: float) -> dict[str, np.ndarray]:
    """Molecules held out test OOD; of the others ``test`` of the frames test ID, and a tenth of the rest tune."""
    chosen = set(held_out)
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for molecule in range(len(store.graphs)):
        frames = rng.permutation(np.flatnonzero(store.molecule == molecule))
        if molecule in chosen:
            found["ood_test"].append(frames)
            continue
        n_test = max(1, round(test * len(frames)))
        n_tune = max(1, round(0.1 * (len(frames) - n_test)))
        parts = np.split(frames, [n_test, n_test + n_tune])
        for part, own in zip(("id_test", "validation", "train"), parts, strict=True):
            found[part].append(own)
    if not all(found.values()):
        raise TaskError("a side of the split has no molecules: hold out fewer, or more")
    return {part: np.sort(np.concatenate(own)) for part, own in found.items()}
