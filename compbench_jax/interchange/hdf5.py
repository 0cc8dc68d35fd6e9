"""HDF5 files with a group for each molecule, its arrays over conformations: SPICE, ANI-1x and their relatives.

A group is read if it has atomic numbers and positions; the file itself may be the only one. Declared sizes are compared
with the stored ones, links to other files are never followed, and only plain numbers are read.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError, DataError, optional_import
from compbench_jax.interchange.frame import ForeignFrame, labelled_frame
from compbench_jax.interchange.labels import ANY_KEYS, LabelKeys
from compbench_jax.interchange.lookout import refuse_fatal
from compbench_jax.interchange.npz import BLOCK, KEYS, MAX_RATIO, SLACK, STATES
from compbench_jax.interchange.units import ENERGY_UNITS, LENGTH_UNITS, unit_name

SPICE = "conformations"
"""Name of the positions in SPICE, which are in Bohr, its energies in Hartree."""

GRADIENT = re.compile(r"gradients?", re.IGNORECASE)
DEPTH = 8
"""Most groups within groups."""

FORMAL_CHARGE = re.compile(r"\[[^\[\]]*?([+-]+)(\d*)(?::\d+)?\]")


def read_hdf5(path: Path, keys: LabelKeys = ANY_KEYS) -> Iterator[ForeignFrame]:
    """Read the conformations of all groups one by one.

    Positions are ``conformations``, ``coordinates``, ``R`` and the like ``[n, n_atoms, 3]``, labels pairs of keys
    (:mod:`.labels`), such as ``dft_total_energy`` and ``dft_total_gradient``; of a gradient the negative is read. Units
    are the datasets' attributes ``units``, else SPICE's where the positions have its name. The charge is that of
    ``charge`` and the like, else of ``smiles``.

    Raises:
        DataError: no HDF5 file, no such group, sizes that no honest file has, or a group without labels.
        CompBenchError: the package h5py is not installed.
    """
    optional_import("h5py", "hdf5", "reading HDF5 files")
    refuse_fatal(path, "hdf5", keys)
    yield from frames_in(path, keys)


def frames_in(path: Path, keys: LabelKeys) -> Iterator[ForeignFrame]:
    """The same, without the look at whether the library survives the file."""
    import h5py

    index = 0
    try:
        with h5py.File(path, "r") as file:
            for group in _groups(file, DEPTH):
                for frame in _frames(path, index, group, keys):
                    yield frame
                    index += 1
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:80]
        raise DataError(f"{path} cannot be read as an HDF5 file ({reason}): copy it again") from error
    if not index:
        wanted = " or ".join((SPICE, *KEYS["positions"]))
        raise DataError(f"{path} has no group with atomic numbers and {wanted}: is it in the layout of SPICE?")


def _groups(group: Any, depth: int) -> Iterator[Any]:
    """Groups that hold atomic numbers and positions, in the order of their names."""
    if _named(group, KEYS["numbers"]) and _named(group, (SPICE, *KEYS["positions"])):
        yield group
    elif depth:
        for name in group:
            item = _member(group, name)
            if hasattr(item, "keys"):
                yield from _groups(item, depth - 1)


def _member(group: Any, name: str) -> Any:
    """A group or array of this very file, else None."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return None
    item = group[name]
    return item if isinstance(item, h5py.Group | h5py.Dataset) else None


def _named(group: Any, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in group), "")


def _frames(path: Path, index: int, group: Any, keys: LabelKeys) -> Iterator[ForeignFrame]:
    """The frames of one group; ``index`` is the number of the first."""
    where = f"{path}: {group.name}"
    arrays = {name: item for name in group if hasattr(item := _member(group, name), "shape")}
    place = _named(group, (SPICE, *KEYS["positions"]))
    numbers = _values(where, arrays, _named(group, KEYS["numbers"]))
    positions = arrays.get(place)
    if positions is None or len(positions.shape) != 3 or positions.shape[1:] != (len(numbers), 3):
        shape = None if positions is None else list(positions.shape)
        raise DataError(f"{where} has {len(numbers)} atoms but {place} {shape}, not [frames, atoms, 3]")
    n_frames = positions.shape[0]
    scalars = {name: item for name, item in arrays.items() if item.shape in ((n_frames,), (n_frames, 1))}
    vectors = {name: item for name, item in arrays.items() if item.shape == positions.shape and name != place}
    forces = {GRADIENT.sub("forces", name): name for name in vectors}
    wanted = LabelKeys(keys.energy, None if keys.forces is None else GRADIENT.sub("forces", keys.forces))
    labels = wanted.choose(f"{path}, frame {index}", tuple(scalars), tuple(forces))
    labels = replace(labels, forces=forces[labels.forces])
    sign = -1.0 if GRADIENT.search(labels.forces) else 1.0
    try:
        units = _units(arrays, place, labels.energy, labels.forces)
    except CompBenchError as error:
        raise DataError(f"{where}: {error}") from error
    states = {"charge" if k == "Q" else k: _values(where, arrays, k).reshape(-1) for k in STATES if k in arrays}
    charge = None if any("charge" in key for key in states) else _formal_charge(arrays.get("smiles"))
    block = max(1, BLOCK // (24 * len(numbers)))
    for start in range(0, n_frames, block):
        rows = slice(start, min(start + block, n_frames))
        r, f = _values(where, arrays, place, rows), _values(where, arrays, labels.forces, rows) * sign
        e = _values(where, arrays, labels.energy, rows).reshape(-1)
        for k in range(len(r)):
            info = {key: item[min(start + k, len(item) - 1)] for key, item in states.items() if len(item)}
            info |= {} if charge is None else {"charge": charge}
            frame = labelled_frame(path, index + start + k, numbers, r[k], e[k], f[k], labels, info)
            frame.units = units  # type: ignore[assignment]
            yield frame


def _values(where: str, arrays: dict[str, Any], name: str, rows: Any = ()) -> np.ndarray:
    """Numbers of an array, or some rows of them.

    Raises:
        DataError: it holds other things, lies in another file, or declares more than it stores.
    """
    item = arrays[name]
    where = f"{where}: {name}"
    if item.dtype.kind not in "biuf":
        raise DataError(f"{where} holds {item.dtype}, no numbers: save it as plain numbers")
    if item.is_virtual or item.external:
        raise DataError(f"{where} lies in another file: save it in this one")
    most = max(SLACK, MAX_RATIO * item.id.get_storage_size())
    chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
    if item.nbytes > most or chunk > most:
        raise DataError(f"{where} declares an array {list(item.shape)} larger than what is stored of it: copy it again")
    return np.asarray(item[rows])


def _units(arrays: dict[str, Any], positions: str, energy: str, forces: str) -> tuple[str | None, ...]:
    """Names of the units of energy, length and force that the arrays' attributes state, else SPICE's."""
    words = []
    for name, table in ((energy, ENERGY_UNITS), (positions, LENGTH_UNITS), (forces, None)):
        text = arrays[name].attrs.get("units")
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        words.append(text if table is None or not isinstance(text, str) else unit_name(text, table, f"units of {name}"))
    if positions == SPICE:
        words = [words[0] or "Hartree", words[1] or "Bohr", words[2]]
    return tuple(word if isinstance(word, str) else None for word in words)


def _formal_charge(smiles: Any) -> int | None:
    """Sum of the charges in a SMILES; None without one."""
    if smiles is None or smiles.size != 1 or smiles.dtype.kind not in "OS":
        return None
    text = np.asarray(smiles[()]).reshape(-1)[0]
    text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return sum(
        (1 if signs[0] == "+" else -1) * int(count or len(signs)) for signs, count in FORMAL_CHARGE.findall(text)
    )
