"""Real structures per second of a potential: a train step, and energies with forces.

    python benchmarks/throughput.py --model mace --batch-size 8 --json

The work is 256 conformers of the alkanes C2 to C13, packed as for training; padding does not count as structures. A
train step is energies, forces, the gradient of 4 × energy MAE + 100 × force l2-MAE, Adam, and the moving average of the
parameters. Reported is the median over the timed steps, the first of which come after compilation.

Time is taken under the allocator settings that training uses (``compbench_jax.runtime``): the script starts itself
again with them. Set ``COMPBENCH_NO_MALLOC_TUNING=1`` to measure without. There is no compilation cache: compile times
are true.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import jraph
import numpy as np
import optax
import tyro

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.nequip import NequIPConfig
from compbench_jax.models.normalisation import fit_normalisation
from compbench_jax.models.painn import PaiNNConfig
from compbench_jax.models.potential import Normalisation, Potential
from compbench_jax.models.registry import MODELS, build_potential, config_to_json, n_parameters
from compbench_jax.models.schnet import SchNetConfig
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import core_registry
from compbench_jax.runtime import MALLOC, apply_allocator_settings
from compbench_jax.store.frames import Frames, offsets_of

COMPARED = {
    "mace-64": MACEConfig(channels=64, hidden_l=2),
    "nequip-64": NequIPConfig(channels=64, layers=4),
    "nequip-64-unpruned": NequIPConfig(channels=64, layers=4, prune=False),
    "painn-128": PaiNNConfig(features=128, interactions=3),
    "schnet-128": SchNetConfig(features=128, interactions=6),
}
"""The potentials that other programs are compared with."""

PRESETS = MODELS | COMPARED
"""They, and those of the registry."""


@dataclass(frozen=True)
class Arguments:
    """Measure the throughput of a potential."""

    model: str = "mace"
    """Preset of the registry, or one of ``COMPARED``: mace-64, painn-128, schnet-128, …"""
    batch_size: int = 8
    """Mean number of structures per batch."""
    steps: int = 15
    """Timed steps of each kind."""
    structures: int = 256
    """Conformers in the set."""
    json: bool = False
    """Print one JSON object in place of text."""


def alkane_frames(count: int) -> Frames:
    """Conformers of the alkanes in turn, with random labels of the right shapes and sizes."""
    alkanes = [molecule for molecule in core_registry() if molecule.family == "alkane"]
    numbers = [molecular_graph(molecule).numbers for molecule in alkanes]
    chosen = np.arange(count) % len(alkanes)
    positions = np.concatenate([conformer(alkanes[m], seed=i) for i, m in enumerate(chosen)])
    rng = np.random.default_rng(0)
    return Frames(
        numbers=np.concatenate([numbers[m] for m in chosen]),
        positions=positions.astype(np.float32),
        forces=rng.normal(size=positions.shape).astype(np.float32),
        energy=rng.normal(size=count),
        molecule=chosen.astype(np.int32),
        offsets=offsets_of([len(numbers[m]) for m in chosen]),
    )


def make_step(potential: Potential, optimiser: optax.GradientTransformation) -> Callable[..., Any]:
    """Train step ``(params, average, state, graph) -> (params, average, state, loss)``."""

    def loss(params: Any, graph: jraph.GraphsTuple) -> jax.Array:
        energy, forces = potential.energy_and_forces(params, graph)
        real = graph.globals["frame"] >= 0
        atoms = jnp.arange(forces.shape[0]) < jnp.sum(jnp.where(real, graph.n_node, 0))
        error = jnp.where(atoms[:, None], forces - graph.nodes["forces"], 1.0)
        norms = jnp.where(atoms, jnp.sqrt(jnp.sum(error * error, axis=1)), 0.0)
        energy_error = jnp.where(real, jnp.abs(energy - graph.globals["energy"]), 0.0)
        return 4.0 * energy_error.sum() / real.sum() + 100.0 * norms.sum() / atoms.sum()

    def step(params: Any, average: Any, state: Any, graph: jraph.GraphsTuple) -> tuple[Any, Any, Any, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(params, graph)
        updates, state = optimiser.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        average = optax.incremental_update(params, average, 0.001)
        return params, average, state, value

    return step


def measure(call: Callable[[jraph.GraphsTuple], Any], batches: list, steps: int) -> dict[str, float]:
    """Compile and run ``call`` on the batches in turn: median rate, its quartiles, and the time to compile."""
    start = time.perf_counter()
    jax.block_until_ready(call(batches[0]))
    compiled = time.perf_counter() - start
    jax.block_until_ready(call(batches[1 % len(batches)]))
    rates = []
    for i in range(steps):
        graph = batches[i % len(batches)]
        real = int((np.asarray(graph.globals["frame"]) >= 0).sum())
        start = time.perf_counter()
        jax.block_until_ready(call(graph))
        rates.append(real / (time.perf_counter() - start))
    low, median, high = np.percentile(rates, [25, 50, 75])
    return {
        "structures_per_second": round(float(median), 2),
        "lower_quartile": round(float(low), 2),
        "upper_quartile": round(float(high), 2),
        "compile_seconds": round(compiled, 2),
    }


@dataclass(frozen=True)
class Work:
    """A potential and its batches, ready to be timed.

    Attributes:
        batches: on the device.
        structures: real structures in each.
        evaluate: energies and forces of a batch.
        train: a train step on a batch; waits for it.
        programs: what XLA made of ``evaluate`` and ``train``, as text; compiled once more.
        parameters: numbers that are trained.
        padding: fractions of nodes and edges.
        average_neighbours: edges per atom.
    """

    batches: list[jraph.GraphsTuple]
    structures: list[int]
    evaluate: Callable[[jraph.GraphsTuple], Any]
    train: Callable[[jraph.GraphsTuple], Any]
    programs: tuple[Callable[[], str], Callable[[], str]]
    parameters: int
    padding: tuple[float, float]
    average_neighbours: float


def work_of(
    config: Any, frames: Frames, batch_size: int, *, seeds: int = 1, precision: str = "float32", backend: str = "auto"
) -> Work:
    """Batches of one epoch as in training, and the two kinds of step.

    Args:
        config: of the potential.
        frames: the work.
        batch_size: mean number of structures per batch.
        seeds: members that are evaluated and trained at once, each on every batch.
        precision: of the arithmetic.
        backend: of the equivariant products.
    """
    dataset = GraphDataset.build(
        frames,
        elements=(1, 6),
        reference_energies=(0.0, 0.0),
        cutoff=config.cutoff,
        batch_size=batch_size,
        triplets=getattr(config, "triplets", False),
    )
    plan = dataset.epoch(0, 0)
    batches = [jax.device_put(dataset.batch(item)) for item in plan]
    average_neighbours = float(dataset.edges.n_edges.sum()) / len(frames.numbers)
    fitted = fit_normalisation(frames, average_neighbours=average_neighbours)
    normalisation = Normalisation(fitted.elements, (0.0, 0.0), fitted.scale, average_neighbours)
    potential = replace(build_potential(config, normalisation), precision=precision, backend=backend)
    optimiser = optax.adam(1e-3)
    key, init, predict = jax.random.key(0), potential.init, potential.energy_and_forces
    step, start = make_step(potential, optimiser), optimiser.init
    if seeds > 1:
        key, init, predict = jax.random.split(key, seeds), *(jax.vmap(f, (0, None)) for f in (init, predict))
        step, start = jax.vmap(step, (0, 0, 0, None)), jax.vmap(start)
    params = jax.jit(init)(key, batches[0])
    fast = params if seeds > 1 else potential.for_inference(params)
    compiled, step = jax.jit(predict), jax.jit(step, donate_argnums=(0, 1, 2))
    # The step gives its arguments' memory away: it has parameters of its own.
    state = [jax.tree.map(jnp.copy, params), jax.tree.map(jnp.copy, params), start(params)]

    def train(graph: jraph.GraphsTuple) -> jax.Array:
        *state[:], loss = step(*state, graph)
        return jax.block_until_ready(loss)

    return Work(
        batches,
        [len(item.indices) for item in plan],
        lambda graph: jax.block_until_ready(compiled(fast, graph)),
        train,
        (
            lambda: compiled.lower(fast, batches[0]).compile().as_text(),
            lambda: step.lower(*state, batches[0]).compile().as_text(),
        ),
        n_parameters(params),
        dataset.padding(plan),
        average_neighbours,
    )


def run(arguments: Arguments) -> dict[str, Any]:
    """Measure both kinds of step."""
    config = PRESETS[arguments.model]
    frames = alkane_frames(arguments.structures)
    work = work_of(config, frames, arguments.batch_size)
    inference = measure(work.evaluate, work.batches, arguments.steps)
    training = measure(work.train, work.batches, arguments.steps)
    return {
        "model": arguments.model,
        "config": config_to_json(config),
        "parameters": work.parameters,
        "batch_size": arguments.batch_size,
        "train": training,
        "energy_and_forces": inference,
        "atoms_per_structure": round(len(frames.numbers) / frames.n_frames, 2),
        "edges_per_atom": round(work.average_neighbours, 2),
        "padding": {"nodes": round(work.padding[0], 4), "edges": round(work.padding[1], 4)},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "malloc": "tuned" if all(os.environ.get(k) == v for k, v in MALLOC.items()) else "default",
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }


def main() -> None:
    """Command line."""
    apply_allocator_settings()
    arguments = tyro.cli(Arguments)
    if arguments.model not in PRESETS:
        sys.exit(f"no potential is called {arguments.model!r}: choose one of {', '.join(sorted(PRESETS))}")
    result = run(arguments)
    if arguments.json:
        print(json.dumps(result))
        return
    for kind in ("train", "energy_and_forces"):
        rate = result[kind]
        print(
            f"{result['model']:>14} {kind:>18}: {rate['structures_per_second']:8.1f} structures/s "
            f"(quartiles {rate['lower_quartile']}, {rate['upper_quartile']}; compiled in {rate['compile_seconds']} s)"
        )


if __name__ == "__main__":
    main()
