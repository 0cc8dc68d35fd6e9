"""What a second core brings to a single training run: structures per second in four ways of using it.

    python benchmarks/second_core.py --models mace painn --repetitions 3 --json-file cores.json

- one core: a process that may use one core;
- both cores: a process that may use both, which XLA splits operations among;
- two devices: the same with two virtual devices of the CPU, each with half of every batch;
- two processes: each on a core of its own with half of every batch, gradients added up by gloo.

The runs are those of ``train.py`` (fragment_duplication of data/standard, batches of 8, Muon) and follow each other in
turns; a rate is the median over the lines of a log after the first, and over the turns. Losses must agree.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

ROOT = Path(__file__).resolve().parent.parent
MODELS = {
    "mace": ("model:mace", "--model.channels", "64", "--model.hidden-l", "2"),
    "painn": ("model:painn", "--model.features", "128"),
    "schnet": ("model:schnet", "--model.features", "128", "--model.interactions", "6"),
    "nequip": ("model:nequip", "--model.channels", "64", "--model.layers", "4"),
}
ONE_DEVICE, TWO_DEVICES = (f"--xla_force_host_platform_device_count={n}" for n in (1, 2))
WAYS = ("one core", "both cores", "two devices", "two processes")


@dataclass(frozen=True)
class Arguments:
    """Measure what a second core brings to a training run."""

    models: tuple[str, ...] = ("mace", "painn")
    """Networks: mace, painn, schnet, nequip, of the sizes of `against_peers.py`."""
    steps: int = 120
    """Steps of a run."""
    batch_size: int = 8
    """Structures per batch."""
    data: Path = ROOT / "data" / "standard"
    """Data set."""
    task: str = "fragment_duplication"
    """Task."""
    repetitions: int = 3
    """Turns."""
    json_file: Path | None = None
    """Write everything measured here."""


def run(way: str, model: str, arguments: Arguments, folder: Path) -> dict[str, Any]:
    """Train in one of the ways: structures per second, share of its cores that process 0 used, last loss."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    every = max(1, arguments.steps // 8)
    words = [
        *(sys.executable, ROOT / "train.py", "--task", arguments.task, "--data", arguments.data, "--out", folder),
        *("--steps", arguments.steps, "--batch-size", arguments.batch_size, "--watch.log-every", every),
        *("--watch.validate-every", arguments.steps, "--watch.monitor-frames", 0),
    ]
    pins, flags, together = [cores], ONE_DEVICE, [[]]
    if way == "one core":
        pins = [cores[:1]]
    elif way == "two devices":
        flags = TWO_DEVICES
    elif way == "two processes":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        pins = [[core] for core in cores]
        together = [["--coordinator", address, "--num-processes", 2, "--process-id", k] for k in range(2)]
    programs = [
        subprocess.Popen(
            [str(word) for word in (*words, *more, *MODELS[model])],
            env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda pin=pin: os.sched_setaffinity(0, pin),
        )
        for pin, more in zip(pins, together, strict=True)
    ]
    if any([program.wait() for program in programs]):
        sys.exit(f"{model}, {way}: the run failed, what it said is above")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["event"] == "train"][1:]
    return {
        "structures_per_second": statistics.median(line["structures_per_second"] for line in lines),
        "processor_fraction": statistics.median(line["processor_fraction"] for line in lines),
        "loss": lines[-1]["loss"],
    }


def main() -> None:
    """Command line."""
    arguments = tyro.cli(Arguments)
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("this process may use one core only")
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for model in arguments.models:
        found = measured.setdefault(model, {way: [] for way in WAYS})
        for turn in range(arguments.repetitions):
            for way in WAYS:
                with tempfile.TemporaryDirectory() as folder:
                    found[way].append(run(way, model, arguments, Path(folder) / "run"))
                print(f"{model}, turn {turn}, {way}: {found[way][-1]}", file=sys.stderr)
        losses = [item["loss"] for way in WAYS for item in found[way]]
        if max(losses) > 1.0001 * min(losses):
            sys.exit(f"{model}: the losses do not agree: {losses}")
        rates = {way: statistics.median(item["structures_per_second"] for item in found[way]) for way in WAYS}
        for way, rate in rates.items():
            print(
                f"{model:8} {way:14} {rate:6.1f} structures per second, {rate / rates['one core']:.2f} times one core"
            )
        if arguments.json_file is not None:
            arguments.json_file.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
