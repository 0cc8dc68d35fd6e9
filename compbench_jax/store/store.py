"""Reading a frame store: memory maps, opened with every size checked, never a pickle."""

import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph
from compbench_jax.store.frames import Frames, offsets_of, ragged_indices
from compbench_jax.store.manifest import Manifest, file_sha256, manifest_hash, read_manifest

SETS = ("primary", "secondary")
"""Codes of the ``set`` array: 0 is a molecule's primary set, 1 its secondary set."""

FRAME_FILES = {
    "positions.npy": "float32",
    "forces.npy": "float32",
    "energy.npy": "float64",
    "molecule.npy": "int32",
    "set.npy": "int8",
    "segment.npy": "int32",
    "time.npy": "float32",
    "temperature.npy": "float32",
}
GRAPH_FILES = {"numbers.npy": "int32", "bonds.npy": "int32", "environments.npy": "uint32"}
FILES = FRAME_FILES | GRAPH_FILES


@dataclass(frozen=True, eq=False)
class FrameStore:
    """A store opened for reading. Frames are ordered by molecule, set, segment and time.

    Attributes:
        path: folder of the store.
        manifest: what the store says of itself.
        graphs: the molecules with their atoms, bonds and environments.
        energy, positions, forces: as in :class:`Frames`, memory-mapped over all frames.
        molecule: int32 ``[n_frames]``, index into ``graphs``.
        set: int8 ``[n_frames]``, index into ``SETS``.
        segment: int32 ``[n_frames]``, number of the trajectory within its molecule and set.
        time: fs since the start of the segment's production, float32 ``[n_frames]``.
        temperature: kinetic temperature of the frame's vibrations in K, float32 ``[n_frames]`` (NaN where unknown).
        offsets: first atom of each frame, int64 ``[n_frames + 1]``.
    """

    path: Path
    manifest: Manifest
    graphs: tuple[MolecularGraph, ...]
    energy: np.ndarray
    positions: np.ndarray
    forces: np.ndarray
    molecule: np.ndarray
    set: np.ndarray
    segment: np.ndarray
    time: np.ndarray
    temperature: np.ndarray
    offsets: np.ndarray

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.energy)

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest: names this exact data."""
        return manifest_hash(self.path)

    def gather(self, indices: Sequence[int] | np.ndarray) -> Frames:
        """Copy the frames with these indices into memory, in the given order."""
        indices = np.asarray(indices, np.int64)
        lengths = self.offsets[indices + 1] - self.offsets[indices]
        rows = ragged_indices(self.offsets[indices], lengths)
        molecule = np.asarray(self.molecule[indices])
        numbers = np.concatenate([self.graphs[m].numbers for m in molecule]) if len(indices) else np.zeros(0, np.int32)
        return Frames(
            numbers=numbers,
            positions=np.asarray(self.positions[rows]),
            forces=np.asarray(self.forces[rows]),
            energy=np.asarray(self.energy[indices]),
            molecule=molecule,
            offsets=offsets_of(lengths),
        )

    def select(self, molecule: int, set: str) -> np.ndarray:
        """Indices of one molecule's frames of one set (``"primary"`` or ``"secondary"``), in order, int64."""
        return np.flatnonzero((self.molecule == molecule) & (self.set == SETS.index(set)))


def load_array(folder: Path, name: str, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Memory-map one array of a store, refusing pickles and anything but the promised dtype and shape."""
    path = folder / name
    if not path.exists():
        raise DataError(
            f"{path} is missing: copy it again from the source of the data set, or generate the data set again"
        )
    damaged = f"{path} is truncated or not a plain array: copy it again, or generate the data set again"
    if not path.is_file():  # a pipe would be waited for
        raise DataError(damaged)
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, TypeError, OverflowError, SyntaxError, EOFError, OSError, tokenize.TokenError) as error:
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"{path} cannot be read ({error.strerror}): check permissions and limits") from error
        raise DataError(damaged) from error
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise DataError(
            f"{path} holds {array.dtype}{list(array.shape)}, the manifest promises {dtype}{list(shape)}: copy it again"
        )
    return array


def open_store(path: str | Path, *, checksums: bool = False) -> FrameStore:
    """Open the store in a folder.

    Args:
        path: the folder that ``compbench generate`` wrote.
        checksums: also compare the SHA-256 of every array with the manifest, and refuse a NaN, an infinity or an
            impossibly large value among the labels and positions (reads everything once).

    Raises:
        DataError: missing, damaged, newer or inconsistent files, or an impossible value, each named.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    if set(manifest.files) != set(FILES):
        odd = sorted(set(manifest.files) ^ set(FILES))
        raise DataError(
            f"{folder / 'manifest.json'} lists other arrays than a data set has ({', '.join(odd)}): generate it again"
        )
    arrays = {}
    for name, dtype in FILES.items():
        entry = manifest.files[name]
        if entry.dtype != dtype:
            raise DataError(f"{folder / name} is declared {entry.dtype}, expected {dtype}: generate the data set again")
        arrays[name.removesuffix(".npy")] = load_array(folder, name, dtype, entry.shape)
        if checksums and file_sha256(folder / name) != entry.sha256:
            raise DataError(
                f"{folder / name} differs from its SHA-256 in the manifest: copy it again, or regenerate the data set"
            )
    atom_offsets, bond_offsets = offsets_of(manifest.n_atoms), offsets_of(manifest.n_bonds)
    molecule = np.array(arrays["molecule"])
    n_frames, n_molecules = arrays["energy"].size, len(manifest.molecules)
    per_frame = ("energy", "molecule", "set", "segment", "time", "temperature")
    if any(arrays[key].shape != (n_frames,) for key in per_frame):
        raise DataError(f"{folder}: the per-frame arrays have different lengths: generate the data set again")
    if n_frames and not (molecule.min() >= 0 and molecule.max() < n_molecules):
        raise DataError(
            f"{folder / 'molecule.npy'} names a molecule that the manifest does not list: regenerate the data set"
        )
    if not len(manifest.molecules) == len(manifest.n_atoms) == len(manifest.n_bonds):
        raise DataError(f"{folder / 'manifest.json'} has other numbers of molecules, n_atoms and n_bonds: restore it")
    offsets = offsets_of(np.asarray(manifest.n_atoms, np.int64)[molecule] if n_frames else [])
    expected = {
        "positions": (int(offsets[-1]), 3),
        "forces": (int(offsets[-1]), 3),
        "numbers": (int(atom_offsets[-1]),),
        "environments": (int(atom_offsets[-1]), MAX_RADIUS + 1),
        "bonds": (int(bond_offsets[-1]), 2),
    }
    for key, shape in expected.items():
        if arrays[key].shape != shape:
            raise DataError(
                f"{folder / key}.npy has shape {arrays[key].shape}, the molecules need {shape}: generate it again"
            )
    graphs = tuple(
        MolecularGraph(
            molecule=item,
            numbers=np.array(arrays["numbers"][atom_offsets[i] : atom_offsets[i + 1]]),
            bonds=np.array(arrays["bonds"][bond_offsets[i] : bond_offsets[i + 1]]),
            environments=np.array(arrays["environments"][atom_offsets[i] : atom_offsets[i + 1]]),
        )
        for i, item in enumerate(manifest.molecules)
    )
    store = FrameStore(
        path=folder,
        manifest=manifest,
        graphs=graphs,
        energy=arrays["energy"],
        positions=arrays["positions"],
        forces=arrays["forces"],
        molecule=molecule,
        set=np.array(arrays["set"]),
        segment=np.array(arrays["segment"]),
        time=np.array(arrays["time"]),
        temperature=np.array(arrays["temperature"]),
        offsets=offsets,
    )
    wrong = impossible(store)
    if wrong:
        raise DataError(f"{folder}: {wrong}: generate the data set again or fetch a fresh copy")
    wrong = not_finite(store) if checksums else None
    if wrong:
        raise DataError(f"{folder}: {wrong}: remove the frame or label it again")
    return store


def impossible(store: FrameStore) -> str | None:
    """Name a value outside its range among those that are cheap to look at: all but positions and forces."""
    numbers = np.concatenate([graph.numbers for graph in store.graphs] or [np.zeros(0, np.int32)])
    if ((numbers < 1) | (numbers > 118)).any():
        return "numbers.npy holds an atomic number that is not 1 to 118"
    for graph in store.graphs:
        first, second = graph.bonds.T
        if (first < 0).any() or (second >= graph.n_atoms).any() or (first >= second).any():
            return f"bonds.npy joins atoms of {graph.molecule.name} that do not exist or are not in order"
        if len(np.unique(graph.bonds, axis=0)) < len(graph.bonds):
            return f"bonds.npy has a bond of {graph.molecule.name} twice"
    ranges = {
        "set": (store.set >= 0) & (store.set < len(SETS)),
        "segment": store.segment >= 0,
        "time": np.isfinite(store.time),
        "temperature": (store.temperature >= 0) & np.isfinite(store.temperature) | np.isnan(store.temperature),
    }
    for key, good in ranges.items():
        if not good.all():
            frame = int(np.argmin(good))
            return f"{key}.npy has the impossible value {getattr(store, key)[frame]} at frame {frame}"
    largest = int(np.bincount(store.molecule[store.set == 1], minlength=1).max())
    if 0 < largest < store.manifest.tuning_frames:
        return f"manifest.json has {store.manifest.tuning_frames} tuning frames, its largest secondary set {largest}"
    return None


LARGEST = {"positions": 1e6, "forces": 1e6, "energy": 1e10}
"""Å, eV/Å and eV that no molecule reaches."""

ROWS = 1 << 20
"""Rows of an array that are looked at at once."""


def not_finite(store: FrameStore) -> str | None:
    """Name the first frame with a position, force or energy that is not finite or impossibly large; None without one.

    What is impossible is written in ``LARGEST``.
    """
    for key, largest in LARGEST.items():
        array = getattr(store, key)
        for start in range(0, len(array), ROWS):
            part = array[start : start + ROWS]
            bad = ~(np.abs(part) < largest).reshape(len(part), -1).all(axis=1)
            if not bad.any():
                continue
            row = start + int(np.argmax(bad))
            frame = row if key == "energy" else int(np.searchsorted(store.offsets, row, side="right")) - 1
            name = store.graphs[store.molecule[frame]].molecule.name
            return f"frame {frame} ({name}) has {key} that are not finite or impossibly large"
    return None
