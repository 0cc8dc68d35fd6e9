"""Forces of 64 long molecules do not depend on how many are computed at once, whatever XLA makes of large arrays."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from test_contract import TINY

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.evaluation.predict import make_step, predict
from compbench_jax.models.baselines.fit import fit_baseline
from compbench_jax.models.registry import BASELINES, build_potential, presets
from compbench_jax.store.store import open_store
from compbench_jax.training.data import normalisation_of

LONGEST = ("undecane", "dodecane", "tridecane")
FAST = ("schnet", "mace", "composition")
NAMES = [name for name, config in presets().items() if type(config).__module__.startswith("compbench_jax")]


@pytest.fixture(scope="module")
def long_molecules():
    store = open_store(Path(__file__).parents[2] / "data/mini")
    names = [graph.molecule.name for graph in store.graphs]
    frames = [store.select(names.index(name), "primary")[:22] for name in LONGEST]
    return store, store.gather(np.concatenate(frames)[:64])


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_forces_in_one_batch_of_64_are_those_in_batches_of_8(name, long_molecules):
    store, frames = long_molecules
    config = dataclasses.replace(presets()[name], **TINY.get(name, {}))
    normalisation = normalisation_of(frames, config.cutoff)
    potential = build_potential(config, normalisation)
    small, large = (
        GraphDataset.build(
            frames,
            elements=normalisation.elements,
            reference_energies=normalisation.reference_energies,
            cutoff=potential.cutoff,
            batch_size=size,
            triplets=potential.triplets,
            graphs=store.graphs if potential.bonded else None,
        )
        for size in (8, 64)
    )
    assert [len(dataset.sequential()) for dataset in (small, large)] == [8, 1]
    assert large.shape.n_edge > 2**15 or name == "nearest"  # where jax 0.10.2 begins to go wrong
    if name in BASELINES:
        params, _ = fit_baseline(config, normalisation, small, small)
    else:
        params = jax.jit(potential.init)(jax.random.key(0), small.batch(small.sequential()[0]))
    apart, together = (predict(make_step(potential), params, dataset) for dataset in (small, large))
    size = np.abs(apart.forces).mean()
    assert size > 1e-4 or name == "composition"
    assert np.abs(together.forces - apart.forces).max() < 1e-5 * max(1.0, size)
