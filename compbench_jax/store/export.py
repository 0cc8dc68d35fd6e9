"""Frames out of a store, as extended XYZ."""

from collections.abc import Iterator
from pathlib import Path

from compbench_jax.errors import CompBenchError
from compbench_jax.store.store import SETS, FrameStore


def export_extxyz(store: FrameStore, path: Path) -> int:
    """Write every frame as extended XYZ (Å, eV, eV/Å) and return their number. The file appears when it is whole.

    Each frame carries energy and forces and, as info, ``molecule``, ``smiles``, ``inchikey``, ``set``, ``segment``,
    ``time`` (fs) and ``temperature`` (K).

    Raises:
        CompBenchError: the file is already there.
    """
    from ase.io import write

    if path.exists():
        raise CompBenchError(f"{path} exists: remove it or choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # One molecule at a time: ASE objects of a whole store would take gigabytes.
        with temporary.open("w", encoding="utf-8") as handle:
            for images in _images_by_molecule(store):
                write(handle, images, format="extxyz")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return store.n_frames


def _images_by_molecule(store: FrameStore) -> Iterator[list]:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    for index, graph in enumerate(store.graphs):
        images = []
        for k in (store.molecule == index).nonzero()[0]:
            atoms_slice = slice(store.offsets[k], store.offsets[k + 1])
            atoms = Atoms(graph.numbers, store.positions[atoms_slice])
            atoms.calc = SinglePointCalculator(
                atoms, energy=float(store.energy[k]), forces=store.forces[atoms_slice].astype(float)
            )
            atoms.info = {
                "molecule": graph.molecule.name,
                "smiles": graph.molecule.smiles,
                "inchikey": graph.molecule.inchikey,
                "set": SETS[store.set[k]],
                "segment": int(store.segment[k]),
                "time": float(store.time[k]),
                "temperature": float(store.temperature[k]),
            }
            images.append(atoms)
        if images:
            yield images
