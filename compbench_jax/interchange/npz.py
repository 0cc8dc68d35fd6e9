"""NumPy archives (``.npz``) in the convention of MD17 and its relatives: one molecule, arrays over its frames.

Members are streamed out of the zip archive a block of frames at a time, after their declared sizes were checked: an
archive that unpacks to a thousand times its size is refused before anything is unpacked, and a pickle is never loaded.
"""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.interchange.frame import ForeignFrame, Units, labelled_frame
from compbench_jax.interchange.isolation import CHARGES, MULTIPLICITIES, SPINS
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys, Labels

KEYS = {
    "positions": ("R", "coords", "positions", "coordinates"),
    "numbers": ("z", "nuclear_charges", "Z", "numbers", "atomic_numbers"),
}
STATES = (*CHARGES, *SPINS, *MULTIPLICITIES, "Q")
"""Keys of the charge and the spin, one for all frames or one for each."""

CELLS = ("lattice", "cell")
UNIT_KEYS = ("e_unit", "r_unit")
"""sGDML's names of the units of energy and length."""

MAX_RATIO = 100
SLACK = 1 << 20
"""A member may unpack to ``MAX_RATIO`` times its packed size, or to 1 MiB. Coordinates shrink to a half at best."""

BLOCK = 1 << 20


@dataclass
class _Member:
    """An array in the archive, its header read and its size checked."""

    stream: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(self, count: int) -> np.ndarray:
        """The next ``count`` rows."""
        row = math.prod(self.shape[1:])
        content = self.stream.read(count * row * self.dtype.itemsize)
        return np.frombuffer(content, self.dtype, count=count * row).reshape(count, *self.shape[1:])


def read_npz(path: Path, keys: LabelKeys = ANY_KEYS) -> Iterator[ForeignFrame]:
    """Read the frames of an archive in the MD17 convention one by one.

    Keys: ``R, E, F, z`` or ``coords, energies, forces, nuclear_charges`` and the like (``KEYS``, :mod:`.labels`).

    Raises:
        DataError: no archive, keys missing, pickled objects, sizes that no honest file has, or a cell whose periodic
            images are near.
    """
    try:
        with ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(path))
            sizes = {info.filename: info for info in archive.infolist()}
            names = tuple(name.removesuffix(".npy") for name in sizes if name.endswith(".npy"))

            def member(key: str) -> _Member:
                return _open(path, archive, sizes[f"{key}.npy"], stack)

            members = {}
            for role, choices in KEYS.items():
                key = next((k for k in choices if k in names), None)
                if key is None:
                    raise DataError(f"{path} has no array {' or '.join(choices)}: is it in the MD17 convention?")
                members[role] = member(key)
            labels = keys.choose(f"{path}, frame 0", names, names)
            members |= {"energy": member(labels.energy), "forces": member(labels.forces)}
            extra = {key: member(key) for key in (*STATES, *CELLS, "pbc") if key in names}
            yield from _frames(path, members, extra, labels, _units(path, archive, sizes, stack))
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, tokenize.TokenError),
        *(ValueError, TypeError, KeyError, OverflowError, NotImplementedError, RuntimeError, SyntaxError, OSError),
    ) as error:
        raise DataError(f"{path} is not a readable .npz archive ({str(error)[:80]}): copy it again") from error


def _frames(
    path: Path, members: dict[str, _Member], extra: dict[str, _Member], labels: Labels, units: Units
) -> Iterator[ForeignFrame]:
    positions, energy, forces, numbers = (members[role] for role in ("positions", "energy", "forces", "numbers"))
    if len(positions.shape) != 3 or positions.shape[2] != 3 or forces.shape != positions.shape:
        raise DataError(
            f"{path}: positions {list(positions.shape)} and forces {list(forces.shape)} are not both [frames, atoms, 3]"
        )
    n_frames, n_atoms = positions.shape[:2]
    if energy.shape[:1] != (n_frames,) or math.prod(energy.shape) != n_frames:
        raise DataError(f"{path}: {n_frames} frames but energies {list(energy.shape)}")
    each = numbers.shape == (n_frames, n_atoms) and n_frames > 0
    if not each and numbers.shape != (n_atoms,):
        raise DataError(f"{path}: {n_atoms} atoms but atomic numbers {list(numbers.shape)}")
    common = None if each else numbers.rows(n_atoms)
    states = {
        "charge" if key == "Q" else key: _of_frames(path, key, extra, (), n_frames) for key in STATES if key in extra
    }
    cell = next((_of_frames(path, key, extra, (3, 3), n_frames) for key in CELLS if key in extra), None)
    periodic = _of_frames(path, "pbc", extra, (3,), n_frames) if "pbc" in extra else np.ones((n_frames, 3), bool)
    block = max(1, BLOCK // max(1, 24 * n_atoms))
    for start in range(0, n_frames, block):
        count = min(block, n_frames - start)
        own = numbers.rows(count) if each else None
        r, e, f = positions.rows(count), energy.rows(count).reshape(count), forces.rows(count)
        for k in range(count):
            z, i = common if own is None else own[k], start + k
            box = () if cell is None else (cell[i], periodic[i])
            info = {key: values[i] for key, values in states.items()}
            frame = labelled_frame(path, i, z, r[k], e[k], f[k], labels, info, *box)
            frame.units = units
            yield frame


def _of_frames(path: Path, key: str, extra: dict[str, _Member], shape: tuple[int, ...], n_frames: int) -> np.ndarray:
    """A value of this shape for each frame, where the archive has one for all or one for each."""
    member = extra[key]
    size = math.prod(member.shape)
    if size not in (math.prod(shape), n_frames * math.prod(shape)):
        raise DataError(f"{path}: {key} {list(member.shape)} is neither one for all frames nor one for each")
    values = np.frombuffer(member.stream.read(size * member.dtype.itemsize), member.dtype, size)
    return np.broadcast_to(values.reshape(-1, *shape), (n_frames, *shape))


def _open(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, stack: ExitStack) -> _Member:
    """Open an array of plain numbers, refusing one whose size cannot be right."""
    where = f"{path}: {info.filename}"
    if info.file_size > max(SLACK, MAX_RATIO * info.compress_size) or info.compress_size > path.stat().st_size:
        raise DataError(f"{where} claims to unpack from {info.compress_size} to {info.file_size} bytes: refused")
    stream = stack.enter_context(archive.open(info))
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream, max_header_size=10_000)
    if dtype.kind not in "biufU":
        raise DataError(f"{where} holds {dtype} (pickled objects are never read): save it as plain numbers")
    if fortran and len(shape) > 1:
        raise DataError(f"{where} is in Fortran order: save it again with numpy.ascontiguousarray")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > info.file_size:
        raise DataError(f"{where} declares an array {list(shape)} larger than the file: copy it again")
    return _Member(stream, shape, dtype)


def _units(path: Path, archive: zipfile.ZipFile, sizes: dict[str, zipfile.ZipInfo], stack: ExitStack) -> Units:
    """Energy and length unit, where the archive states both as sGDML does."""
    words = []
    for key in UNIT_KEYS:
        info = sizes.get(f"{key}.npy")
        member = None if info is None else _open(path, archive, info, stack)
        if member is None or member.dtype.kind != "U" or math.prod(member.shape) != 1 or member.dtype.itemsize > 400:
            return (None, None, None)
        words.append(str(np.frombuffer(member.stream.read(member.dtype.itemsize), member.dtype)[0]))
    return (words[0], words[1], None)
