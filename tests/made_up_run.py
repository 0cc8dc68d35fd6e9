"""Runs of a small SchNet as the training room writes them, but for the training."""

from dataclasses import replace

import jax
import numpy as np
import optax

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.models.normalisation import fit_normalisation
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.tasks import get_task
from compbench_jax.training import configuration, potential_file
from compbench_jax.training.checkpoint import Best, Checkpoint, Checkpoints
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.run_folder import write_split
from compbench_jax.training.state import Cursor, initial_state


def start_run(run, store, data, cutoff):
    """Everything of a run of chain_extension but its checkpoint.

    Returns:
        its settings, and a function from a seed to initial parameters.
    """
    split = get_task("chain_extension").split(store)
    model = replace(MODELS["schnet"], cutoff=cutoff, features=8, interactions=1, n_basis=4)
    settings = RunConfig("chain_extension", str(data), store.hash, "schnet", model, seed=5, steps=4, batch_size=4)
    run.mkdir()
    configuration.write(run / configuration.FILE, settings)
    write_split(run, store, split)
    frames = store.gather(split.train)
    normalisation = fit_normalisation(frames, 3.0)
    potential_file.write(run, model, normalisation)
    dataset = GraphDataset.build(
        frames,
        elements=normalisation.elements,
        reference_energies=normalisation.reference_energies,
        cutoff=cutoff,
        batch_size=4,
    )
    init, batch = jax.jit(build_potential(model, normalisation).init), dataset.batch(dataset.sequential()[0])
    return settings, lambda seed: init(jax.random.key(seed), batch)


def save_members(run, best, latest):
    """Write a checkpoint of these members; the later a member, the lower its loss, but for the last."""
    state = initial_state(latest, optax.sgd(0.1))._replace(step=np.int32(4))
    losses = np.array([1.0, 0.9, 0.8, 0.95][: len(best)])
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *jax.device_get(best))
    kept = Best(np.full(len(best), 2), losses, params)
    Checkpoints(run).save(Checkpoint(state, (Cursor(0, 0),) * len(best), kept))
