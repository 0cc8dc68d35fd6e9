"""A small store of made-up frames: two molecules, two segments a set, energies of harmonic bonds."""

import numpy as np
import pytest

from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph, Molecule
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.writer import Trajectory, write_store


def toy_graph(name, numbers, bonds):
    numbers = np.array(numbers, np.int32)
    environments = np.arange(len(numbers) * (MAX_RADIUS + 1), dtype=np.uint32).reshape(len(numbers), -1)
    key = f"{name.upper():A<14}-UHFFFAOYSA-N"
    molecule = Molecule(name, name, key, "X", family="alkane", n=len(numbers), ends=("H", "H"))
    return MolecularGraph(molecule, numbers, np.array(bonds, np.int32).reshape(-1, 2), environments)


@pytest.fixture
def toy_content():
    rng = np.random.default_rng(0)
    graphs = [toy_graph("water", [8, 1, 1], [[0, 1], [0, 2]]), toy_graph("nitrogen", [7, 7], [[0, 1]])]
    trajectories = [
        Trajectory(
            molecule=m,
            set=set,
            segment=segment,
            positions=rng.normal(size=(4, graph.n_atoms, 3)).astype(np.float32),
            forces=rng.normal(size=(4, graph.n_atoms, 3)).astype(np.float32),
            energy=rng.normal(size=4) - 100.0,
            time=np.arange(4, dtype=np.float32) * 10,
            temperature=np.full(4, 300, np.float32),
        )
        for m, graph in enumerate(graphs)
        for set in ("primary", "secondary")
        for segment in range(2)
    ]
    manifest = Manifest((), (), (), {"method": "toy"}, {"temperature": 300.0}, 2, (), {"numpy": "x"})
    return manifest, graphs, trajectories


@pytest.fixture
def toy_store(tmp_path, toy_content):
    write_store(tmp_path / "toy", *toy_content)
    return tmp_path / "toy"
