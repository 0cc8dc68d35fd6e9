"""The manifest of a store: what the arrays are, where they came from, and their checksums."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compbench_jax.errors import DataError
from compbench_jax.molecules.molecule import Molecule

FORMAT = "compbench-frames"
VERSION = 1
MANIFEST = "manifest.json"
MAX_BYTES = 1 << 26
"""Size of the largest manifest that is read."""

UNITS = {
    "positions": "angstrom",
    "energy": "eV",
    "forces": "eV/angstrom",
    "time": "fs",
    "temperature": "K",
}


@dataclass(frozen=True)
class FileEntry:
    """One array file: its SHA-256, dtype and shape."""

    sha256: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything a store says about itself.

    Attributes:
        molecules: the molecules, in the order that the ``molecule`` array counts.
        n_atoms: atoms of each molecule.
        n_bonds: bonds of each molecule.
        level: level of theory in the words of QCSchema v2 (``method``, ``basis``, ``program``, ``version``,
            ``keywords``).
        settings: how the frames were made (preset, temperature, time step, seeds, …).
        tuning_frames: leading frames of each secondary set that tune; the others are the ID test.
        rejected: trajectories thrown away, each with molecule, set, segment, attempt and reason.
        created: versions of the programs that wrote the store.
        files: the arrays, by file name.
        units: units of the arrays.
    """

    molecules: tuple[Molecule, ...]
    n_atoms: tuple[int, ...]
    n_bonds: tuple[int, ...]
    level: dict[str, Any]
    settings: dict[str, Any]
    tuning_frames: int
    rejected: tuple[dict[str, Any], ...]
    created: dict[str, str]
    files: dict[str, FileEntry] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=lambda: dict(UNITS))

    def to_json(self) -> str:
        """Serialise, one molecule and one file a line so that changes can be read in a diff."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        lines = []
        for key, value in content.items():
            if key in ("molecules", "rejected") and value:
                body = ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in value)
                lines.append(f' "{key}": [\n{body}\n ]')
            elif key == "files":
                body = ",\n".join(f'  "{name}": {json.dumps(item)}' for name, item in value.items())
                lines.append(f' "{key}": {{\n{body}\n }}')
            else:
                lines.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
        return "{\n" + ",\n".join(lines) + "\n}\n"


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``folder/manifest.json``.

    Raises:
        DataError: no such store, not JSON, another format, a newer version, or a field missing or of the wrong kind.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise DataError(
            f"no data set at {folder}: the folder does not exist (make one with `compbench generate --out {folder}`)"
        )
    if not path.is_file():
        raise DataError(f"{folder} is not a finished data set: it has no {MANIFEST} (rerun its `compbench generate`)")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} is over {MAX_BYTES >> 20} MB, no manifest of a data set: restore the file")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not valid JSON ({error}): restore the file or generate the data set again"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): restore the file") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DataError(
            f"{path} is not the manifest of a {FORMAT} store: give the folder that `compbench generate` wrote"
        )
    version = raw.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise DataError(f"{path} has version {version}, this program reads up to {VERSION}: upgrade compbench_jax")
    try:
        if raw["units"] != UNITS:
            raise DataError(
                f"{path} states units {raw['units']}, expected {UNITS}: convert the data set, nothing is guessed"
            )
        return _manifest(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise DataError(f"{path} is damaged ({reason}): restore or regenerate it") from error


def _manifest(raw: dict[str, Any]) -> Manifest:
    """The manifest that a JSON object holds.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, of the wrong kind, or has an impossible value.
    """
    molecules = tuple(_molecule(item) for item in _typed(raw, "molecules", list))
    manifest = Manifest(
        molecules=molecules,
        n_atoms=tuple(_count(n, "n_atoms", 1) for n in _typed(raw, "n_atoms", list)),
        n_bonds=tuple(_count(n, "n_bonds", 0) for n in _typed(raw, "n_bonds", list)),
        level=_typed(raw, "level", dict),
        settings=_typed(raw, "settings", dict),
        tuning_frames=_count(raw["tuning_frames"], "tuning_frames", 0),
        rejected=tuple(_typed(raw, "rejected", list)),
        created=_typed(raw, "created", dict),
        files={
            name: FileEntry(
                str(item["sha256"]), str(item["dtype"]), tuple(_count(n, "shape", 0) for n in item["shape"])
            )
            for name, item in _typed(raw, "files", dict).items()
        },
    )
    if not all(isinstance(item, dict) for item in manifest.rejected):
        raise TypeError("rejected is not a list of objects")
    return manifest


def _typed(raw: dict[str, Any], key: str, kind: type) -> Any:
    value = raw[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key} is a {type(value).__name__}, not a {kind.__name__}")
    return value


def _count(value: Any, name: str, least: int) -> int:
    """A whole number between ``least`` and what a file could hold."""
    if type(value) is not int or not least <= value < 2**48:
        raise ValueError(f"{name} is {str(value)[:20]}")
    return value


def _molecule(item: dict[str, Any]) -> Molecule:
    """A molecule whose fields have the right kinds."""
    ends = tuple(item["ends"]) if item["ends"] else None
    molecule = Molecule(**{**item, "ends": ends})
    texts = [molecule.name, molecule.smiles, molecule.inchikey, molecule.formula, *(ends or ())]
    if molecule.family is not None:
        texts.append(molecule.family)
    if not all(isinstance(text, str) for text in texts) or (ends is not None and len(ends) != 2):
        raise TypeError(f"molecule {str(molecule.name)[:40]!r} has a field of the wrong kind")
    if molecule.n is not None:
        _count(molecule.n, "n", 0)
    return molecule


def manifest_hash(folder: Path) -> str:
    """SHA-256 of the manifest file: names the exact data, since the manifest holds the sums of all arrays."""
    return file_sha256(folder / MANIFEST)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    if not path.is_file():  # a pipe would be waited for
        raise DataError(f"there is no file {path}: restore it")
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
