"""Frames of a store as other programs would have written them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from compbench_jax.store.store import SETS, open_store
from compbench_jax.store.writer import Trajectory, write_store

# From the definitions of the SI (J, mol⁻¹, C are exact) and CODATA, not from the code under test.
HARTREE, BOHR = 27.2113862460, 0.5291772109

MINI = Path(__file__).parents[2] / "data" / "mini"
MOLECULES = ("ethane", "ethanol", "ethanoic acid", "2-hydroxyethanal")


@dataclass
class Labelled:
    """Frames of one molecule: ``numbers [n_atoms]``, ``positions`` and ``forces [n, n_atoms, 3]``, ``energy [n]``."""

    numbers: np.ndarray
    positions: np.ndarray
    forces: np.ndarray
    energy: np.ndarray

    def take(self, rows):
        return Labelled(self.numbers, self.positions[rows], self.forces[rows], self.energy[rows])

    def permuted(self, order):
        return Labelled(self.numbers[order], self.positions[:, order], self.forces[:, order], self.energy)


def write_part(folder):
    """A store of four molecules of the mini set, with the segments and times of the original."""
    mini = open_store(MINI)
    graphs, trajectories = [], []
    for index, graph in enumerate(mini.graphs):
        if graph.molecule.name not in MOLECULES:
            continue
        for code, name in enumerate(SETS):
            own = (mini.molecule == index) & (mini.set == code)
            for segment in np.unique(mini.segment[own]):
                rows = np.flatnonzero(own & (mini.segment == segment))
                frames = mini.gather(rows)
                shape = (len(rows), graph.n_atoms, 3)
                trajectories.append(
                    Trajectory(
                        molecule=len(graphs),
                        set=name,
                        segment=int(segment),
                        positions=frames.positions.reshape(shape),
                        forces=frames.forces.reshape(shape),
                        energy=frames.energy,
                        time=mini.time[rows],
                        temperature=mini.temperature[rows],
                    )
                )
        graphs.append(graph)
    write_store(folder, replace(mini.manifest, rejected=()), graphs, trajectories)
    return folder


def frames_of(store, molecule, set):
    rows = store.select(molecule, set)
    frames, graph = store.gather(rows), store.graphs[molecule]
    shape = (len(rows), graph.n_atoms, 3)
    return Labelled(graph.numbers, frames.positions.reshape(shape), frames.forces.reshape(shape), frames.energy)


def ase_images(frames, **info):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    images = []
    for positions, forces, energy in zip(frames.positions, frames.forces, frames.energy, strict=True):
        atoms = Atoms(frames.numbers, positions.astype(float), info=dict(info))
        atoms.calc = SinglePointCalculator(atoms, energy=float(energy), forces=forces.astype(float))
        images.append(atoms)
    return images


def write_ase(path, frames):
    """By suffix: .traj, .xyz (as ASE writes it, units unstated), .db or .aselmdb."""
    from ase.db import connect
    from ase.io import write

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".db":
        with connect(path) as database:
            for atoms in ase_images(frames):
                database.write(atoms)
    elif path.suffix == ".aselmdb":
        pytest.importorskip("ase_db_backends")
        with connect(path, type="aselmdb", use_lock_file=False) as database:
            for atoms in ase_images(frames):
                database.write(atoms, data={"charge": 0, "spin": 1, "source": "made up"})
    else:
        write(path, ase_images(frames), format="extxyz" if path.suffix == ".xyz" else "traj")
    return path


def write_spice(path, molecules, **more):
    """Molecules by name in the layout of SPICE: a group each, in Bohr, Hartree and Hartree/Bohr, gradients."""
    h5py = pytest.importorskip("h5py")
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, frames in molecules.items():
            group = file.create_group(name)
            group["atomic_numbers"] = frames.numbers.astype(np.int16)
            group["conformations"] = frames.positions / BOHR
            group["dft_total_energy"] = frames.energy / HARTREE
            group["dft_total_gradient"] = -frames.forces.astype(float) / HARTREE * BOHR
            group["formation_energy"] = frames.energy / HARTREE + 3.0
            group.create_dataset("smiles", data=["[C:1]([H:2])"], dtype=h5py.string_dtype())
            for key, value in more.items():
                group[key] = value
    return path


def write_npz(path, frames, energy_unit=1.0, length_unit=1.0, names="REFz", **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = (
        frames.positions.astype(float) / length_unit,
        frames.energy / energy_unit,
        frames.forces.astype(float) / energy_unit * length_unit,
        frames.numbers,
    )
    np.savez_compressed(path, **dict(zip(names, arrays, strict=True)), **more)
    return path


def tree(folder):
    """Every path below a folder with its size: what a test compares to show that nothing else was written."""
    return sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*") if p.is_file())
