"""Stores of real molecules with made-up frames, for what does not depend on positions."""

import numpy as np

from compbench_jax.store.manifest import Manifest
from compbench_jax.store.writer import Trajectory, write_store


def write_made_up_store(folder, graphs, primary, secondary):
    """Write a store of these molecules with so many frames in each set, of which one tunes."""
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
        for set, count in (("primary", primary), ("secondary", secondary))
    ]
    write_store(folder, Manifest((), (), (), {}, {}, 1, (), {}), graphs, trajectories)
    return folder
