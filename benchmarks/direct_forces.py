"""What predicted forces cost: their curl, the push of a molecule on itself, and the energy drift of dynamics.

    python train.py --task chain_extension --data data/mini --out runs/gradient model:painn
    python train.py --task chain_extension --data data/mini --out runs/direct model:painn --model.direct-forces
    python benchmarks/direct_forces.py --runs runs/gradient runs/direct

- curl: ‖J − Jᵀ‖ / ‖J + Jᵀ‖ of the Jacobian J = ∂F/∂r, mean over frames; a gradient has 0, a matrix without structure 1.
- push: ‖ΣF‖ / (√N · rms F), mean over frames; 0 for any function of differences of positions that is a gradient.
- drift: velocity Verlet at constant energy from test frames with velocities drawn at the temperature. Total energy
  (kinetic, and the potential's own) by a line, in meV an atom and ps, until a bond breaks; and the kinetic temperature
  of the last fifth. A trajectory that leaves the finite numbers or 5,000 K counts as lost.

`compbench dynamics` measures these and more of one run beside the labels' level; this compares several runs shortly.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from ase.units import fs

from compbench_jax.dynamics.engine import Engine
from compbench_jax.dynamics.invariants import force_field_figures
from compbench_jax.dynamics.nve import nve_figures
from compbench_jax.dynamics.start import masses_of, thermal_velocities
from compbench_jax.dynamics.system import System
from compbench_jax.dynamics.verlet import integrate
from compbench_jax.evaluation.inputs import open_data
from compbench_jax.runtime import apply_allocator_settings
from compbench_jax.tasks import get_task
from compbench_jax.training.data import evenly_spaced
from compbench_jax.training.loaded_run import load_run

STRIDE = 10
"""Steps a record."""


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


def measure(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """All figures of one run."""
    run = load_run(folder)
    store = open_data(run, arguments.data)
    indices = evenly_spaced(get_task(run.config["task"]).split(store).id_test, arguments.frames)
    frames = store.gather(indices)
    graphs = [store.graphs[m] for m in frames.molecule]
    engine = Engine(run.potential, run.params)
    system = System(run.potential, graphs)
    positions = system.centred(np.split(frames.positions.astype(np.float64), frames.offsets[1:-1]))
    figures = [force_field_figures(f, j) for f, j in zip(*engine.jacobians(system, positions), strict=True)]
    masses = [masses_of(graph) for graph in graphs]
    rng = np.random.default_rng(0)
    velocities = [
        thermal_velocities(mass, at, arguments.temperature, rng)
        for mass, at in zip(masses, system.split(positions), strict=True)
    ]
    records = max(1, arguments.steps // STRIDE)
    found = integrate(
        engine,
        system,
        positions,
        np.concatenate(velocities),
        np.concatenate(masses),
        time_step=arguments.time_step * fs,
        stride=STRIDE,
        records=records,
    )
    times = arguments.time_step * STRIDE / 1000.0 * np.arange(records + 1)
    trajectories = [
        nve_figures(graph, times, own, found.potential[:, k], found.kinetic[:, k])
        for k, (graph, own) in enumerate(
            zip(graphs, np.split(found.positions, system.offsets[1:-1], axis=1), strict=True)
        )
    ]
    drifts = [abs(item["drift"]) for item in trajectories if item["drift"] is not None]
    last = [item["temperature"] for item in trajectories if item["temperature"] is not None]
    return {
        "run": folder.name,
        "model": run.config["preset"],
        "direct": run.potential.direct,
        "frames": len(indices),
        "curl": float(np.mean([item["curl"] for item in figures])),
        "push": float(np.mean([item["push"] for item in figures])),
        "drift": float(np.mean(drifts)) if drifts else None,
        "temperature_at_the_end": float(np.mean(last)) if last else None,
        "broken": sum(item["broken"] for item in trajectories),
        "lost": sum(item["lost"] for item in trajectories),
        "picoseconds": float(times[-1]),
        "units": {"drift": "meV/atom/ps", "temperature_at_the_end": "K"},
    }


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
            "no trajectory kept its bonds"
            if result["drift"] is None
            else f"energy drift {result['drift']:.3g} meV/atom/ps, {result['temperature_at_the_end']:.0f} K at the end"
        )
        print(
            f"{result['run']} ({result['model']}, {'predicted' if result['direct'] else 'derived'} forces): "
            f"curl {result['curl']:.2g}, push {result['push']:.2g}; {result['picoseconds']:g} ps: {dynamics_figures}, "
            f"bonds broken in {result['broken']} of {result['frames']} trajectories, {result['lost']} lost",
            flush=True,
        )


if __name__ == "__main__":
    main()
