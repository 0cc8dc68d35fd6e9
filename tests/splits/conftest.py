"""Made-up molecules whose environments are chosen by hand, and stores of them."""

import numpy as np
import pytest

from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph, Molecule
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.store import open_store
from compbench_jax.store.writer import Trajectory, write_store


@pytest.fixture(scope="session")
def make_graph():
    """A molecule of these environments: one row of identifiers that holds at every radius, or one row a radius."""

    def make(name, environments, bonds=None, numbers=None, key=None, n=None, ends=("H", "H")):
        rows = np.array(environments, np.uint32)
        rows = np.tile(rows, (MAX_RADIUS + 1, 1)) if rows.ndim == 1 else rows
        n_atoms = rows.shape[1]
        bonds = [[i, i + 1] for i in range(n_atoms - 1)] if bonds is None else bonds
        molecule = Molecule(name, name, key or name.upper(), "X", family="toy", n=n or n_atoms, ends=ends)
        return MolecularGraph(
            molecule,
            np.array(numbers or [6] * n_atoms, np.int32),
            np.array(bonds, np.int32).reshape(-1, 2),
            np.ascontiguousarray(rows.T),
        )

    return make


@pytest.fixture
def make_store(tmp_path):
    """A store of molecules with so many primary and secondary frames (one pair for all, or a pair each).

    ``positions`` maps (molecule, set) to coordinates ``[n_frames, n_atoms, 3]``; elsewhere atoms stand 1 Å apart.
    """

    def make(graphs, frames=(4, 3), tuning=1, positions=None):
        counts = [frames] * len(graphs) if isinstance(frames, tuple) else frames
        trajectories = []
        for m, (graph, pair) in enumerate(zip(graphs, counts, strict=True)):
            for set, count in zip(("primary", "secondary"), pair, strict=True):
                row = np.arange(graph.n_atoms)[:, None] * np.array([1.0, 0.0, 0.0])
                where = (positions or {}).get((m, set), np.tile(row, (count, 1, 1)))
                if count:
                    trajectories.append(
                        Trajectory(
                            molecule=m,
                            set=set,
                            segment=0,
                            positions=np.asarray(where, np.float32),
                            forces=np.zeros((count, graph.n_atoms, 3), np.float32),
                            energy=np.zeros(count),
                            time=np.arange(count, dtype=np.float32),
                            temperature=np.full(count, np.nan, np.float32),
                        )
                    )
        folder = tmp_path / f"store{len(list(tmp_path.iterdir()))}"
        write_store(folder, Manifest((), (), (), {}, {}, tuning, (), {}), graphs, trajectories)
        return open_store(folder)

    return make
