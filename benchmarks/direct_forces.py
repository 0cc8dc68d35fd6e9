"""What predicted forces cost: their curl, the push of a molecule on itself, and the energy drift of dynamics.

    python train.py --task chain_extension --data data/mini --out runs/gradient model:painn
    python train.py --task chain_extension --data data/mini --out runs/direct model:painn --model.direct-forces
    python benchmarks/direct_forces.py --runs runs/gradient runs/direct

- curl: ‖J − Jᵀ‖ / ‖J + Jᵀ‖ of the Jacobian J = ∂F/∂r, mean over frames; a gradient has 0, a matrix without structure 1.
- push: ‖ΣF‖ / (√N · rms F), mean over frames; 0 for any function of differences of positions that is a gradient.
- drift: velocity Verlet at constant energy from test frames with velocities drawn at the temperature. Total energy
  (kinetic, and the potential's own) by a line through all steps, in meV an atom and ps; and the kinetic temperature of
  the last fifth. A trajectory that leaves the finite numbers or 5,000 K counts as lost.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from ase.data import atomic_masses
from ase.units import fs, kB

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.evaluation.inputs import open_data
from compbench_jax.models.potential import Potential
from compbench_jax.runtime import apply_allocator_settings
from compbench_jax.tasks import get_task
from compbench_jax.training.checkpoint import load_run
from compbench_jax.training.data import evenly_spaced

ALL_PAIRS = 1e3
"""Å; every pair of a molecule is an edge, so that none has to be found anew. Beyond its cutoff it carries nothing."""


@dataclass(frozen=True)
class Arguments:
    """Measure the consequences of predicted forces."""

    runs: tuple[Path, ...]
    """Run folders, written by train.py."""
    data: Path | None = None
    """Folder of the store, if not where the runs found it."""
    frames: int = 16
    """ID test frames to start from."""
    steps: int = 4000
    """Steps of dynamics."""
    time_step: float = 0.5
    """fs."""
    temperature: float = 300.0
    """K, of the initial velocities."""
    json: bool = False
    """Print one JSON object a run in place of text."""


def jacobian_figures(potential: Potential, params: Any, graph: Any, n_atoms: int) -> tuple[float, float]:
    """Curl and push of one frame."""

    def forces(positions: jax.Array) -> jax.Array:
        moved = graph._replace(nodes={**graph.nodes, "positions": positions})
        return potential.energy_and_forces(params, moved)[1][:n_atoms]

    positions = jnp.asarray(graph.nodes["positions"])
    jacobian = jax.jacfwd(forces)(positions)[:, :, :n_atoms].reshape(3 * n_atoms, 3 * n_atoms)
    found = forces(positions)
    curl = jnp.linalg.norm(jacobian - jacobian.T) / jnp.linalg.norm(jacobian + jacobian.T)
    size = jnp.sqrt(n_atoms * (found**2).sum(axis=1).mean())
    return curl, jnp.linalg.norm(found.sum(axis=0)) / size


def dynamics(
    potential: Potential, params: Any, graph: Any, masses: np.ndarray, velocities: np.ndarray, arguments: Arguments
) -> tuple[np.ndarray, np.ndarray]:
    """Total and kinetic energy of every graph after every step, eV ``[steps, n_graph]``."""
    step, n_graph = arguments.time_step * fs, graph.n_node.shape[0]
    owner = np.repeat(np.arange(n_graph), graph.n_node)

    def evaluate(positions: jax.Array) -> tuple[jax.Array, jax.Array]:
        moved = graph._replace(nodes={**graph.nodes, "positions": positions})
        energy, forces = potential.energy_and_forces(params, moved)
        return energy, forces / masses[:, None]

    def advance(state: Any, _: None) -> Any:
        positions, velocity, acceleration = state
        velocity = velocity + 0.5 * step * acceleration
        positions = positions + step * velocity
        energy, acceleration = evaluate(positions)
        velocity = velocity + 0.5 * step * acceleration
        kinetic = jax.ops.segment_sum(0.5 * masses * (velocity**2).sum(axis=1), owner, n_graph)
        return (positions, velocity, acceleration), (energy + kinetic, kinetic)

    @partial(jax.jit, static_argnums=1)
    def run(velocity: jax.Array, steps: int) -> Any:
        positions = jnp.asarray(graph.nodes["positions"])
        return jax.lax.scan(advance, (positions, velocity, evaluate(positions)[1]), None, steps)[1]

    total, kinetic = run(jnp.asarray(velocities), arguments.steps)
    return np.asarray(total, np.float64), np.asarray(kinetic, np.float64)


def measure(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """All figures of one run."""
    run = load_run(folder)
    potential, params = run.potential, jax.device_put(run.params)
    store = open_data(run, arguments.data)
    frames = evenly_spaced(get_task(run.config["task"]).split(store).id_test, arguments.frames)
    settings: dict[str, Any] = {
        "elements": potential.normalisation.elements,
        "reference_energies": potential.normalisation.reference_energies,
        "triplets": potential.triplets,
        "graphs": store.graphs if potential.bonded else None,
    }
    single = GraphDataset.build(store.gather(frames), cutoff=potential.cutoff, batch_size=1, **settings)
    # One compilation for each size of molecule.
    figures = jax.jit(partial(jacobian_figures, potential), static_argnums=2)
    found = [figures(params, single.batch(i), int(single.frames.n_atoms[i.indices].sum())) for i in _one_by_one(single)]
    curl, push = (np.array([float(pair[k]) for pair in found]) for k in range(2))

    whole = GraphDataset.build(store.gather(frames), cutoff=ALL_PAIRS, batch_size=len(frames), **settings)
    (item,) = whole.sequential()
    graph = whole.batch(item)
    numbers = np.array(whole.elements)[graph.nodes["species"]]
    masses = atomic_masses[numbers].astype(np.float32)
    rng = np.random.default_rng(0)
    velocities = rng.normal(size=(len(masses), 3)) * np.sqrt(kB * arguments.temperature / masses)[:, None]
    n_real = len(item.indices)
    owner = np.repeat(np.arange(len(graph.n_node)), graph.n_node)
    for molecule in range(n_real):  # the centre of mass rests
        own = owner == molecule
        velocities[own] -= masses[own] @ velocities[own] / masses[own].sum()
    velocities[owner >= n_real] = 0
    total, kinetic = dynamics(potential, params, graph, masses, velocities.astype(np.float32), arguments)
    n_atoms = graph.n_node[:n_real]
    temperature = 2 * kinetic[:, :n_real] / (3 * n_atoms * kB)
    kept = np.isfinite(total[:, :n_real]).all(axis=0) & (temperature.max(axis=0) < 5000.0)
    time = np.arange(arguments.steps) * arguments.time_step / 1000.0
    slopes = np.polyfit(time, 1000.0 * total[:, :n_real][:, kept] / n_atoms[kept], 1)[0] if kept.any() else np.array([])
    last = temperature[-max(1, arguments.steps // 5) :, kept]
    return {
        "run": folder.name,
        "model": run.config["preset"],
        "direct": potential.direct,
        "frames": len(frames),
        "curl": float(curl.mean()),
        "push": float(push.mean()),
        "drift": float(np.abs(slopes).mean()) if kept.any() else None,
        "temperature_at_the_end": float(last.mean()) if kept.any() else None,
        "lost": int((~kept).sum()),
        "picoseconds": float(arguments.steps * arguments.time_step / 1000.0),
        "units": {"drift": "meV/atom/ps", "temperature_at_the_end": "K"},
    }


def _one_by_one(dataset: GraphDataset) -> list[Any]:
    """A batch for each frame, all of one shape."""
    first = dataset.sequential()[0]
    return [first._replace(indices=np.array([i])) for i in range(dataset.n_frames)]


def main() -> None:
    """Command line."""
    apply_allocator_settings()
    arguments = tyro.cli(Arguments)
    for folder in arguments.runs:
        result = measure(folder, arguments)
        if arguments.json:
            print(json.dumps(result), flush=True)
            continue
        dynamics_figures = (
            "all trajectories lost"
            if result["drift"] is None
            else f"energy drift {result['drift']:.3g} meV/atom/ps, {result['temperature_at_the_end']:.0f} K at the end"
        )
        print(
            f"{result['run']} ({result['model']}, {'predicted' if result['direct'] else 'derived'} forces): "
            f"curl {result['curl']:.2g}, push {result['push']:.2g}; {result['picoseconds']:g} ps: {dynamics_figures}, "
            f"{result['lost']} of {result['frames']} trajectories lost",
            flush=True,
        )


if __name__ == "__main__":
    main()
