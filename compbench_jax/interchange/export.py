"""Frames out of a store, as extended XYZ."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compbench_jax.errors import CompBenchError
from compbench_jax.files import atomic_file
from compbench_jax.store.store import SETS, FrameStore

COLUMNS = "species:S:1:pos:R:3:forces:R:3"


def export_extxyz(store: FrameStore, path: Path) -> int:
    """Write every frame as extended XYZ (Å, eV, eV/Å) and return their number. The file appears when it is whole.

    Each frame carries energy and forces and, in its comment line, ``molecule``, ``smiles``, ``inchikey``, ``set``,
    ``segment``, ``time`` (fs), ``temperature`` (K), ``energy_unit``, ``length_unit`` and the level of theory
    (``level_method``, ``level_basis``, ``level_program``). Numbers have the digits that restore them exactly.

    Raises:
        CompBenchError: the file is already there.
    """
    if path.exists():
        raise CompBenchError(f"{path} exists: remove it or choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as handle:
        for text in _frames(store):
            handle.write(text.encode())
    return store.n_frames


def frame_info(store: FrameStore, frame: int) -> dict[str, str]:
    """What is said of a frame next to its labels: molecule, set, segment, time (fs), temperature (K), units, level."""
    molecule = store.graphs[store.molecule[frame]].molecule
    level = {f"level_{word}": store.manifest.level.get(word) for word in ("method", "basis", "program")}
    return {
        "molecule": molecule.name,
        "smiles": molecule.smiles,
        "inchikey": molecule.inchikey,
        "set": SETS[store.set[frame]],
        "segment": str(int(store.segment[frame])),
        "time": f"{float(store.time[frame]):.9g}",
        "temperature": f"{float(store.temperature[frame]):.9g}",
        "energy_unit": "eV",
        "length_unit": "Ang",
        **{key: value for key, value in level.items() if value is not None},
    }


def _frames(store: FrameStore) -> Iterator[str]:
    from ase.data import chemical_symbols

    for index, graph in enumerate(store.graphs):
        symbols = [f"{chemical_symbols[number]:<2}" for number in graph.numbers]
        # Nine digits tell every float32 from its neighbours.
        line = "{} {:15.9g} {:15.9g} {:15.9g} {:15.9g} {:15.9g} {:15.9g}".format
        for k in np.flatnonzero(store.molecule == index):
            rows = slice(store.offsets[k], store.offsets[k + 1])
            table = np.concatenate([store.positions[rows], store.forces[rows]], axis=1).tolist()
            info = {"energy": repr(float(store.energy[k])), **frame_info(store, int(k))}
            comment = " ".join(f"{key}={quoted(value)}" for key, value in info.items())
            atoms = "\n".join(line(symbol, *row) for symbol, row in zip(symbols, table, strict=True))
            yield f'{graph.n_atoms}\nProperties={COLUMNS} {comment} pbc="F F F"\n{atoms}\n'


def quoted(text: str) -> str:
    """A value as a comment line holds it: in quotes where a reader would split or interpret it otherwise."""
    if text and not any(c.isspace() or c in "\"'\\{}[]=," for c in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
