"""Training on more frames than memory should hold: a synthetic data set, the start, two processes, validation.

    python benchmarks/scale.py                              # a million frames: 700 MB in a temporary folder, minutes
    python benchmarks/scale.py --frames 20000 --json        # less of everything

The frames are those of data/mini, displaced at random. Their labels are SYNTHETIC: forces F₀ − k d for displacements d
from a frame with forces F₀, and energies E₀ − F₀·d + ½ k d², of which they are the gradient. They serve to measure
time and memory, and mean nothing else.

- start: seconds from the command to the first line of the log, the processor time in them (what an idle core would
  take), and the peak of the process's memory (Linux), with pages of the memory maps counted in (they are the kernel's
  to drop);
- two processes: the frames that each reads have none in common, and the losses are those of one process;
- validation: seconds for the same frames on 1, 2 and 4 virtual devices of the CPU. They share its cores: the times can
  fall as far as those reach.

    python benchmarks/scale.py record FILE …                # train.py …, with the frames of each batch written to FILE
    python benchmarks/scale.py validate RUN FRAMES          # times a validation of so many frames
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from compbench_jax.cli.exit_code import exit_code_of

ROOT = Path(__file__).resolve().parent.parent
SPRING, SHAKE = 10.0, 0.02
"""eV/Å² and Å: stiffness of the made-up labels, size of the displacements."""
SEGMENT, SECONDARY = 2000, 60
"""Frames of a made-up trajectory, and of each molecule's secondary set."""


@dataclass(frozen=True)
class Arguments:
    """Measure training on a synthetic data set."""

    frames: int = 1_000_000
    """Training frames of the data set."""
    task: str = "fragment_transfer"
    """Task."""
    model: str = "schnet"
    """Potential."""
    steps: int = 40
    """Steps of each run."""
    validation: int = 4000
    """Frames to validate on."""
    folder: Path | None = None
    """Where data set and runs are left; a temporary folder without it."""
    json: bool = False
    """Print one JSON object in place of text."""


def synthetic(source: Path, target: Path, task: str, n_frames: int) -> None:
    """A data set with about so many training frames of a task, of the molecules of another data set."""
    from compbench_jax.store.store import open_store
    from compbench_jax.store.writer import Trajectory, write_store
    from compbench_jax.tasks import get_task

    store, rng = open_store(source), np.random.default_rng(0)
    molecules = get_task(task).molecules(store.graphs)

    def trajectory(index: int, name: str, segment: int, count: int) -> Trajectory:
        own = store.gather(store.select(index, name))
        rows = rng.integers(0, own.n_frames, count)
        shape = (own.n_frames, store.graphs[index].n_atoms, 3)
        positions, forces = own.positions.reshape(shape)[rows], own.forces.reshape(shape)[rows]
        moved = SHAKE * rng.standard_normal(positions.shape, np.float32)
        work = (forces.astype(float) * moved).sum(axis=(1, 2)) - 0.5 * SPRING * np.square(moved).sum(axis=(1, 2))
        return Trajectory(
            molecule=index,
            set=name,
            segment=segment,
            positions=positions + moved,
            forces=forces - np.float32(SPRING) * moved,
            energy=own.energy[rows] - work,
            time=np.arange(1, count + 1, dtype=np.float32),
            temperature=np.full(count, 300, np.float32),
        )

    trajectories = []
    for index in (*molecules.train, *molecules.ood):
        each = n_frames // len(molecules.train) if index in molecules.train else SECONDARY
        pieces = [min(SEGMENT, each - start) for start in range(0, each, SEGMENT)]
        trajectories += [trajectory(index, "primary", k, count) for k, count in enumerate(pieces)]
        trajectories.append(trajectory(index, "secondary", 0, SECONDARY))
    settings = {"preset": "synthetic", "made_of": store.hash, "spring": SPRING, "shake": SHAKE}
    level = {"method": "synthetic", "program": "benchmarks/scale.py"}
    manifest = replace(
        store.manifest, files={}, level=level, settings=settings, rejected=(), tuning_frames=SECONDARY // 3
    )
    write_store(target, manifest, store.graphs, trajectories)


def peak_memory(process: int) -> float:
    """Peak of the memory of a process so far, MB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def processor_seconds(process: int) -> float:
    """Processor time that a process has taken so far, seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command(arguments: Arguments, data: Path, run: Path, *words: str) -> list[str]:
    """The words of a training run that validates once, at its end."""
    watch = ["--watch.log-every", "1", "--watch.validate-every", str(arguments.steps), "--watch.monitor-frames", "50"]
    where = ["--task", arguments.task, "--data", str(data), "--out", str(run), "--steps", str(arguments.steps)]
    return [*where, *watch, "--device.data", "disk", *words, f"model:{arguments.model}"]


def lines_of(run: Path, event: str) -> list[dict[str, Any]]:
    """Records of the log of a run."""
    log = run / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    return [record for record in records if record["event"] == event]


def start(arguments: Arguments, data: Path, run: Path) -> dict[str, Any]:
    """Train in a process of its own: seconds to the first step, and its memory."""
    begun, first, busy, peak = time.monotonic(), 0.0, 0.0, 0.0
    process = subprocess.Popen([sys.executable, ROOT / "train.py", *command(arguments, data, run)])
    while process.poll() is None:
        peak = max(peak, peak_memory(process.pid))
        if not first and lines_of(run, "train"):
            first, busy = time.monotonic() - begun, processor_seconds(process.pid)
        time.sleep(0.1)
    if process.returncode:
        sys.exit(f"the run failed: {run}")
    return {
        "data": lines_of(run, "start")[0]["data"],
        "train_frames": json.loads((run / "split.json").read_text())["sets"]["train"]["frames"],
        "seconds_to_first_step": first,
        "processor_seconds_to_first_step": busy,
        "seconds": time.monotonic() - begun,
        "peak_memory_mb": peak,
    }


def two_processes(arguments: Arguments, data: Path, run: Path, alone: Path) -> dict[str, Any]:
    """Train in two processes: what each read, and how far the losses are from those of one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", "2", "--process-id"]
    files = [run.with_name(f"{run.name}-{k}.jsonl") for k in range(2)]
    trainings = [
        subprocess.Popen(
            [sys.executable, __file__, "record", file, *command(arguments, data, run, *together, str(k))],
            env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"},
        )
        for k, file in enumerate(files)
    ]
    if any([process.wait() for process in trainings]):
        sys.exit(f"the run of two processes failed: {run}")
    batches = list(read_together(files))
    losses = [[record["loss"] for record in lines_of(folder, "train")] for folder in (alone, run)]
    return {
        "batches": len(batches),
        "frames_in_common": sum(len(np.intersect1d(*parts)) for parts in batches),
        "frames_read": [sum(len(parts[k]) for parts in batches) for k in range(2)],
        "largest_difference_of_losses": float(np.max(np.abs(np.array(losses[1]) / losses[0] - 1))),
    }


def read_together(files: Sequence[Path]) -> Iterator[list[np.ndarray]]:
    """The training frames that each process read of a batch, batch by batch."""
    records = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    largest = max(record["of"] for record in records[0])
    training = [[np.array(record["frames"]) for record in rows if record["of"] == largest] for rows in records]
    for parts in zip(*training, strict=True):
        yield list(parts)


def record(file: str, words: list[str]) -> None:
    """``train.py``, with a line in a file for each batch that is read in advance from the disk: its frames."""
    from compbench_jax.batching.streamed import StreamedFrames
    from compbench_jax.cli.train import wire

    read, lock = StreamedFrames.read, threading.Lock()

    def noted(frames: StreamedFrames, rows: np.ndarray) -> Any:
        if threading.current_thread().name == "prefetch":
            with lock, Path(file).open("a") as handle:
                handle.write(json.dumps({"of": frames.n_frames, "frames": rows.tolist()}) + "\n")
        return read(frames, rows)

    StreamedFrames.read = noted  # type: ignore[method-assign]
    sys.exit(exit_code_of(lambda: wire(words)))


def validate(run: Path, n_frames: int) -> None:
    """Print seconds and force MAE of a validation on all devices of this process, once compiled."""
    import jax

    from compbench_jax.batching.dataset import GraphDataset
    from compbench_jax.store.store import open_store
    from compbench_jax.training.data import evenly_spaced
    from compbench_jax.training.loaded_run import load_run
    from compbench_jax.training.mesh import MEMBERS, make_layout
    from compbench_jax.training.validation import errors_on, make_evaluator

    loaded = load_run(run)
    potential, store = loaded.potential, open_store(loaded.config["data"])
    dataset = GraphDataset.build(
        store.gather(evenly_spaced(np.arange(store.n_frames), n_frames)),
        elements=potential.normalisation.elements,
        reference_energies=potential.normalisation.reference_energies,
        cutoff=potential.cutoff,
        batch_size=8,
        triplets=potential.triplets,
    )
    layout = make_layout("auto", 1)
    evaluator = make_evaluator(potential, layout)
    params = layout.put(jax.tree.map(lambda x: np.asarray(x)[None], loaded.params), MEMBERS)
    errors_on(evaluator, params, dataset, 1, layout)
    begun = time.monotonic()
    (errors,) = errors_on(evaluator, params, dataset, 1, layout)
    batches = -(-len(dataset.sequential()) // layout.n_batch)
    print(json.dumps({"seconds": time.monotonic() - begun, "batches": batches, "force_mae": errors.force_mae}))


def validations(run: Path, n_frames: int) -> dict[str, Any]:
    """Validation on 1, 2 and 4 virtual devices."""
    results = {}
    for devices in (1, 2, 4):
        environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
        words = [sys.executable, __file__, "validate", run, str(n_frames)]
        said = subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout
        results[str(devices)] = json.loads(said.splitlines()[-1])
    return results


def measure(arguments: Arguments, folder: Path) -> dict[str, Any]:
    """All figures."""
    data = folder / "store"
    if not (data / "manifest.json").exists():
        synthetic(ROOT / "data" / "mini", data, arguments.task, arguments.frames)
    one = folder / "one"
    return {
        "frames": int(np.load(data / "energy.npy", mmap_mode="r").size),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "model": arguments.model,
        "start": start(arguments, data, one),
        "two_processes": two_processes(arguments, data, folder / "two", one),
        "validation": validations(one, arguments.validation),
    }


def main() -> None:
    """Measure and print."""
    arguments = tyro.cli(Arguments)
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(arguments, arguments.folder or Path(scratch))
    if arguments.json:
        print(json.dumps(result))
        return
    first, both = result["start"], result["two_processes"]
    print(f"{result['frames']} frames, {first['train_frames']} to train on ({first['data']}), {result['cores']} cores")
    seconds, busy = first["seconds_to_first_step"], first["processor_seconds_to_first_step"]
    print(f"start: first step after {seconds:.1f} s ({busy:.1f} s of processor time), {first['peak_memory_mb']:.0f} MB")
    print(
        f"two processes: {both['batches']} batches, {both['frames_read']} frames read, {both['frames_in_common']} in "
        f"common; losses differ by {both['largest_difference_of_losses']:.1e}"
    )
    for devices, item in result["validation"].items():
        print(f"validation on {devices} devices: {item['seconds']:.2f} s, {item['batches']} batches each")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", file, *words]:
            record(file, words)
        case ["validate", run, frames]:
            validate(Path(run), int(frames))
        case _:
            sys.exit(exit_code_of(main))
