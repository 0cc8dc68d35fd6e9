"""The real molecules with made-up frames: what a task chooses does not depend on positions."""

import numpy as np
import pytest

from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import extended_registry
from compbench_jax.store.manifest import Manifest
from compbench_jax.store.store import open_store
from compbench_jax.store.writer import Trajectory, write_store


@pytest.fixture(scope="session")
def registry_graphs():
    """All molecules of the extended registry (the first 118 are the core)."""
    return tuple(molecular_graph(molecule) for molecule in extended_registry())


@pytest.fixture(scope="session")
def make_registry_store(tmp_path_factory):
    """A store of these molecules with 3 primary and 4 secondary frames each, of which 1 tunes."""

    def make(graphs):
        rng = np.random.default_rng(0)
        trajectories = [
            Trajectory(
                molecule=m,
                set=set,
                segment=0,
                positions=rng.normal(scale=4, size=(count, graph.n_atoms, 3)).astype(np.float32),
                forces=np.zeros((count, graph.n_atoms, 3), np.float32),
                energy=np.zeros(count),
                time=np.arange(count, dtype=np.float32),
                temperature=np.full(count, np.nan, np.float32),
            )
            for m, graph in enumerate(graphs)
            for set, count in (("primary", 3), ("secondary", 4))
        ]
        folder = tmp_path_factory.mktemp("registry") / "store"
        write_store(folder, Manifest((), (), (), {}, {}, 1, (), {}), graphs, trajectories)
        return open_store(folder)

    return make


@pytest.fixture(scope="session")
def core_store(registry_graphs, make_registry_store):
    """A store of the core registry."""
    return make_registry_store(registry_graphs[:118])
