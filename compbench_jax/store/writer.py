"""Writing a frame store: arrays first, the manifest last, each file whole or absent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.files import atomic_file, write_atomically
from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph
from compbench_jax.store.manifest import MANIFEST, FileEntry, Manifest, file_sha256
from compbench_jax.store.store import FILES, SETS


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Labelled frames of one segment of one molecule.

    Attributes:
        molecule: index into the molecules of the store.
        set: ``"primary"`` or ``"secondary"``.
        segment: number within the molecule and set.
        positions: Å, ``[n_frames, n_atoms, 3]``.
        forces: eV/Å, ``[n_frames, n_atoms, 3]``.
        energy: eV, ``[n_frames]``.
        time: fs, ``[n_frames]``.
        temperature: K, ``[n_frames]``.
    """

    molecule: int
    set: str
    segment: int
    positions: np.ndarray
    forces: np.ndarray
    energy: np.ndarray
    time: np.ndarray
    temperature: np.ndarray


def write_store(
    folder: str | Path,
    manifest: Manifest,
    graphs: Sequence[MolecularGraph],
    trajectories: Sequence[Trajectory],
) -> Manifest:
    """Write a store and return its manifest with the checksums filled in.

    The bytes depend on the content alone, not on the order in which trajectories are given.

    Args:
        folder: made if need be; a manifest already there is removed first, so that a half-written store has none.
        manifest: all but ``files``, ``molecules``, ``n_atoms`` and ``n_bonds``, which are taken from the arrays.
        graphs: the molecules.
        trajectories: their frames.

    Raises:
        DataError: no frames, a shape that does not fit its molecule, or a value that is not finite.
    """
    folder = Path(folder)
    ordered = sorted(trajectories, key=lambda t: (t.molecule, SETS.index(t.set), t.segment))
    if not ordered:
        raise DataError(f"nothing to write to {folder}: no frames were given")
    for item in ordered:
        check_trajectory(item, graphs[item.molecule])
    # Written piece by piece: a store larger than the memory needs one segment of it at a time.
    pieces: dict[str, Callable[[], Iterable[np.ndarray]]] = {
        "positions": lambda: (t.positions.reshape(-1, 3) for t in ordered),
        "forces": lambda: (t.forces.reshape(-1, 3) for t in ordered),
        "energy": lambda: (t.energy for t in ordered),
        "molecule": lambda: (np.full(len(t.energy), t.molecule) for t in ordered),
        "set": lambda: (np.full(len(t.energy), SETS.index(t.set)) for t in ordered),
        "segment": lambda: (np.full(len(t.energy), t.segment) for t in ordered),
        "time": lambda: (t.time for t in ordered),
        "temperature": lambda: (t.temperature for t in ordered),
        "numbers": lambda: (g.numbers for g in graphs),
        "bonds": lambda: (g.bonds.reshape(-1, 2) for g in graphs),
        "environments": lambda: (g.environments.reshape(-1, MAX_RADIUS + 1) for g in graphs),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    files = {}
    for name, dtype in FILES.items():
        make = pieces[name.removesuffix(".npy")]
        shape = (sum(len(piece) for piece in make()), *next(iter(make())).shape[1:])
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        with atomic_file(folder / name) as handle:
            np.lib.format.write_array_header_1_0(handle, header)
            for piece in make():
                handle.write(np.ascontiguousarray(piece, dtype=dtype).tobytes())
        files[name] = FileEntry(file_sha256(folder / name), dtype, shape)
    complete = replace(
        manifest,
        molecules=tuple(g.molecule for g in graphs),
        n_atoms=tuple(g.n_atoms for g in graphs),
        n_bonds=tuple(len(g.bonds) for g in graphs),
        files=files,
    )
    write_atomically(folder / MANIFEST, complete.to_json().encode())
    return complete


def check_trajectory(trajectory: Trajectory, graph: MolecularGraph) -> None:
    """Refuse frames of the wrong shape or with a NaN or infinity, naming the molecule and the frame."""
    where = f"{graph.molecule.name}, {trajectory.set} segment {trajectory.segment}"
    n_frames = len(trajectory.energy)
    if (
        trajectory.positions.shape != (n_frames, graph.n_atoms, 3)
        or trajectory.forces.shape != trajectory.positions.shape
    ):
        raise DataError(
            f"{where}: positions {trajectory.positions.shape} and forces {trajectory.forces.shape} "
            f"do not fit {n_frames} frames of {graph.n_atoms} atoms: check the atom order and count"
        )
    for key in ("positions", "forces", "energy"):
        finite = np.isfinite(getattr(trajectory, key)).reshape(n_frames, -1).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{where}: frame {int(np.argmin(finite))} has a {key} that is not finite: remove or relabel it"
            )
