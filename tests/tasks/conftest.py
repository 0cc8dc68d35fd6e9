"""The real molecules with made-up frames: what a task chooses does not depend on positions."""

import pytest
from made_up_store import write_made_up_store

from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import extended_registry
from compbench_jax.store.store import open_store


@pytest.fixture(scope="session")
def registry_graphs():
    """All molecules of the extended registry (the first 118 are the core)."""
    return tuple(molecular_graph(molecule) for molecule in extended_registry())


@pytest.fixture(scope="session")
def make_registry_store(tmp_path_factory):
    """A store of these molecules with 3 primary and 4 secondary frames each, of which 1 tunes."""

    def make(graphs):
        return open_store(write_made_up_store(tmp_path_factory.mktemp("registry") / "store", graphs, 3, 4))

    return make


@pytest.fixture(scope="session")
def core_store(registry_graphs, make_registry_store):
    """A store of the core registry."""
    return make_registry_store(registry_graphs[:118])
