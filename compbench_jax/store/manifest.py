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
            f"no store at {folder}: the folder does not exist (make one with `compbench generate --out {folder}`)"
        )
    if not path.is_file():
        raise DataError(f"{folder} is not a finished store: it has no {MANIFEST} (rerun its `compbench generate`)")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error}): restore the file or generate the store again") from error
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
                f"{path} states units {raw['units']}, expected {UNITS}: convert the store, nothing is guessed"
            )
        return Manifest(
            molecules=tuple(
                Molecule(**{**item, "ends": tuple(item["ends"]) if item["ends"] else None}) for item in raw["molecules"]
            ),
            n_atoms=tuple(int(n) for n in raw["n_atoms"]),
            n_bonds=tuple(int(n) for n in raw["n_bonds"]),
            level=dict(raw["level"]),
            settings=dict(raw["settings"]),
            tuning_frames=int(raw["tuning_frames"]),
            rejected=tuple(raw["rejected"]),
            created=dict(raw["created"]),
            files={
                name: FileEntry(str(item["sha256"]), str(item["dtype"]), tuple(int(n) for n in item["shape"]))
                for name, item in raw["files"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({type(error).__name__}: {error}): restore or regenerate it") from error


def manifest_hash(folder: Path) -> str:
    """SHA-256 of the manifest file: names the exact data, since the manifest holds the sums of all arrays."""
    return file_sha256(folder / MANIFEST)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
