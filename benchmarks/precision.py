"""What the precision of the arithmetic costs: forces and energies of trained runs against the same in float64.

    python benchmarks/precision.py --runs runs/chain_extension-schnet-seed0 --frames 128

For each run: its force MAE on OOD test frames of its own task, and the mean and largest difference that float32,
tensorfloat32 (on an accelerator) and bfloat16 make to force components and energies. The same parameters, rounded to
float32 as the run saved them, serve all.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

from compbench_jax.evaluation.inputs import open_data
from compbench_jax.evaluation.predict import make_step, predict
from compbench_jax.evaluation.sets import datasets_of
from compbench_jax.evaluation.settings import Settings
from compbench_jax.runtime import apply_allocator_settings
from compbench_jax.store.store import FrameStore
from compbench_jax.tasks import get_task
from compbench_jax.training.data import evenly_spaced
from compbench_jax.training.loaded_run import LoadedRun, load_run, with_precision

MEV = 1000.0


@dataclass(frozen=True)
class Arguments:
    """Measure what reduced precision costs in error."""

    runs: tuple[Path, ...]
    """Run folders, written by train.py."""
    data: Path | None = None
    """Folder of the store, if not where the runs found it."""
    frames: int = 128
    """OOD test frames."""
    json: bool = False
    """Print one JSON object a run in place of text."""


def answers(run: LoadedRun, store: FrameStore, frames: np.ndarray, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """Energies and forces of these frames with this precision."""
    run = with_precision(run, precision)
    (data,) = datasets_of(run, store, [frames], Settings(batch_size=16))
    found = predict(make_step(run.potential), run.params, data)
    return found.energy, found.forces


def measure(folder: Path, arguments: Arguments) -> dict[str, Any]:
    """All precisions of one run. Float64 comes last, since JAX keeps to it afterwards."""
    run = load_run(folder)
    store = open_data(run, arguments.data)
    split = get_task(run.config["task"]).split(store)
    frames = evenly_spaced(split.ood_test, arguments.frames)
    kinds = ["float32", *(["tensorfloat32"] if jax.default_backend() != "cpu" else []), "bfloat16"]
    found = {kind: answers(run, store, frames, kind) for kind in kinds}
    energy, forces = answers(run, store, frames, "float64")
    jax.config.update("jax_enable_x64", False)
    labels = store.gather(frames)
    result: dict[str, Any] = {
        "run": folder.name,
        "model": run.config["preset"],
        "frames": len(frames),
        "force_mae": MEV * float(np.abs(forces - labels.forces).mean()),
        "units": "meV/angstrom, meV",
    }
    for kind, (other_energy, other_forces) in found.items():
        difference = np.abs(other_forces.astype(np.float64) - forces)
        result[kind] = {
            "force_mean": MEV * float(difference.mean()),
            "force_largest": MEV * float(difference.max()),
            "energy_mean": MEV * float(np.abs(other_energy - energy).mean()),
            "force_mae": MEV * float(np.abs(other_forces - labels.forces).mean()),
        }
    return result


def main() -> None:
    """Command line."""
    apply_allocator_settings()
    arguments = tyro.cli(Arguments)
    for folder in arguments.runs:
        result = measure(folder, arguments)
        if arguments.json:
            print(json.dumps(result), flush=True)
            continue
        print(f"{result['run']}: force MAE {result['force_mae']:.2f} meV/Å in float64, {result['frames']} frames")
        for kind in ("float32", "tensorfloat32", "bfloat16"):
            if kind in result:
                item = result[kind]
                print(
                    f"  {kind:>14}: forces differ by {item['force_mean']:.2g} meV/Å "
                    f"(largest {item['force_largest']:.2g}), energies by {item['energy_mean']:.2g} meV; "
                    f"force MAE {item['force_mae']:.2f} meV/Å",
                    flush=True,
                )


if __name__ == "__main__":
    main()
