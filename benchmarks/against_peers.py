"""Our potentials against the same networks of other programs: structures per second and memory, in one run.

    python benchmarks/against_peers.py --folder peers --json-file peers.json
    python benchmarks/against_peers.py --checkout ../before --models painn-128    # this checkout against another

The environments of the other programs (mlip; schnetpack and mace-torch on PyTorch) are made in ``--folder`` where they
do not exist yet: a gigabyte or two, once. ``--environment`` names existing ones, each by the program or "torch".

The work is that of ``benchmarks/throughput.py``: 256 conformers of the alkanes C2 to C13, cutoff 5 Å, batches of 8
structures (of 8 on average for programs that pad), float32. A train step is energies, forces, the gradient of both
losses, Adam and a moving average of the parameters. Padding is not counted as structures. Each program batches as its
own training does; batches are ready before the clock starts.

Every program has a process of its own, under the same allocator settings and on the same cores. They are prepared one
after the other and then take turns, some steps each, so that whatever else the machine does slows all of them; reported
is the median over the steps of all turns. Processor time is that of all cores. The peak of the memory is the process's,
from its start: libraries, compilation and steps of one kind.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from compbench_jax.runtime import DONE, MALLOC

ROOT = Path(__file__).resolve().parent.parent

KINDS = ("train", "energy_and_forces")

PROGRAMS = {
    "ours": "ours",
    "checkout": "ours",
    "mlip": "mlip_peer",
    "mace-torch": "mace_torch_peer",
    "schnetpack": "schnetpack_peer",
}
"""Programs and their modules in ``benchmarks/peers``."""

ENVIRONMENT_OF = {"mlip": "mlip", "mace-torch": "torch", "schnetpack": "torch"}

CASES = {
    "mace-64": ("mlip", "mace-torch"),
    "nequip-64": ("mlip",),
    "nequip-64-unpruned": ("mlip",),
    "painn-128": ("schnetpack",),
    "schnet-128": ("schnetpack",),
}
"""Networks and the programs that have them. mlip's NequIP has the same irreps in both rows, of which it computes those
too that cannot reach the energy; ours leaves them out in the first row, and nothing in the second."""

GOALS = {
    ("mace-64", "mlip", "train"): 2.0,
    ("nequip-64", "mlip", "train"): 2.0,
    ("painn-128", "schnetpack", "train"): 1.5,
    ("schnet-128", "schnetpack", "train"): 1.5,
    ("mace-64", "mace-torch", "energy_and_forces"): 1.5,
    ("nequip-64", "mlip", "energy_and_forces"): 2.0,
}
"""How many times as fast as the peer we mean to be."""

INSTALL = {
    # torch first and alone: packages that depend on it would otherwise bring gigabytes for GPUs.
    "torch": (
        ("torch==2.13.0",),
        ("torch==2.13.0", "mace-torch==0.3.16"),
        ("torch==2.13.0", "hydra-core", "hydra-colorlog", "pytorch-lightning", "torchmetrics", "fasteners", "dirsync",
         "torch-ema", "tensorboard", "tensorboardX", "h5py", "ase"),
        ("--no-deps", "schnetpack==2.1.1"),  # its pin of sympy contradicts torch's
    ),
    "mlip": (("mlip==0.2.5", "jax==0.10.1"),),
}  # fmt: skip
"""Calls of pip that make each environment."""


@dataclass(frozen=True)
class Arguments:
    """Compare our throughput and memory with other programs' in one run."""

    folder: Path = Path("peers")
    """Where the environments of the other programs are, or are made."""
    environment: tuple[str, ...] = ()
    """Existing environments in place of those, as NAME=FOLDER (torch, mlip, or the name of one program)."""
    checkout: Path | None = None
    """Another checkout of this repository, compared with this one in place of the other programs."""
    models: tuple[str, ...] = tuple(CASES)
    """Networks to compare."""
    kinds: tuple[str, ...] = KINDS
    """Kinds of step: train, energy_and_forces."""
    turns: int = 5
    """Turns of each program."""
    steps: int = 5
    """Steps a turn; turns × steps are at least 15 for a median worth its name."""
    batch_size: int = 8
    """Mean number of structures per batch."""
    structures: int = 256
    """Conformers in the set."""
    platform: str = "cpu"
    """Of JAX, for the programs that use it: cpu, cuda, tpu."""
    cores: int = 0
    """Processor cores that every program may use; 0 for all."""
    json_file: Path | None = None
    """Write everything measured here."""


def make_environment(folder: Path, name: str) -> Path:
    """The Python of an environment, made first if need be; an unfinished one is continued."""
    root = folder / name
    python, done = root / "bin" / "python", root / "complete"
    if not done.exists():
        print(f"making {root}", file=sys.stderr)
        venv.create(root, with_pip=True)
        for packages in INSTALL[name]:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
        done.touch()
    return python


def python_of(program: str, arguments: Arguments) -> Path:
    """The Python that runs a program."""
    if program in ("ours", "checkout"):
        return Path(sys.executable)
    given = dict(entry.split("=", 1) for entry in arguments.environment)
    name = ENVIRONMENT_OF[program]
    folder = given.get(program, given.get(name))
    return make_environment(arguments.folder, name) if folder is None else Path(folder) / "bin" / "python"


class Worker:
    """A program in its process, see ``peers/worker.py``."""

    def __init__(self, program: str, model: str, kind: str, data: Path, arguments: Arguments):
        self.program = program
        environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
        # OpenMP's idle threads would otherwise spin, and on a busy machine hold up what they wait for.
        environment |= MALLOC | {DONE: "1", "JAX_PLATFORMS": arguments.platform, "OMP_WAIT_POLICY": "passive"}
        checkout = ROOT
        if program == "checkout":
            assert arguments.checkout is not None
            checkout = arguments.checkout.resolve()
        if PROGRAMS[program] == "ours":
            environment["PYTHONPATH"] = str(checkout)
        worker = checkout / "benchmarks" / "peers" / "worker.py"
        words = [worker, PROGRAMS[program], model, kind, data, arguments.batch_size]
        self.process = subprocess.Popen(
            [python_of(program, arguments), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.about = self._answer()
        self.steps: list[list[float]] = []
        self.turns: list[list[list[float]]] = []

    def take(self, count: int) -> None:
        """Let it take so many steps."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        self.turns.append(self._answer())
        self.steps += self.turns[-1]

    def finish(self) -> dict[str, Any]:
        """What it measured: structures per second of wall and of processor time, and its memory."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        memory = self._answer()
        self.process.wait()
        low, median, high = np.percentile([n / wall for n, wall, _ in self.steps], [25, 50, 75])
        return {
            "structures_per_second": round(float(median), 2),
            "quartiles": [round(float(low), 2), round(float(high), 2)],
            "structures_per_processor_second": round(statistics.median(n / cpu for n, _, cpu in self.steps), 2),
            "turns": [round(rate(turn), 2) for turn in self.turns],
            **memory,
            **self.about,
        }

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.program} ended with code {self.process.wait()}; what it said is above")
        return json.loads(line)


def rate(steps: Sequence[Sequence[float]]) -> float:
    """Median structures per second of some steps."""
    return statistics.median(n / wall for n, wall, _ in steps)


def write_structures(path: Path, count: int) -> None:
    """The conformers, as ``peers/worker.py`` reads them."""
    from throughput import alkane_frames

    from compbench_jax.batching.neighbours import neighbour_lists

    frames, cutoff = alkane_frames(count), 5.0
    average = neighbour_lists(frames, cutoff).n_edges.sum() / len(frames.numbers)
    arrays = {key: getattr(frames, key) for key in ("numbers", "positions", "forces", "energy", "offsets")}
    np.savez(path, cutoff=cutoff, average_neighbours=average, **arrays)


def compare(model: str, kind: str, data: Path, arguments: Arguments) -> dict[str, Any]:
    """One network and kind of step: ours and all that have it, or another checkout of ours, in turns."""
    workers = []
    try:
        others = CASES[model] if arguments.checkout is None else ("checkout",)
        for program in ("ours", *others):
            workers.append(Worker(program, model, kind, data, arguments))
            print(f"{model} {kind}: {program} is ready", file=sys.stderr)
        for _ in range(arguments.turns):
            for worker in workers:
                worker.take(arguments.steps)
        return {worker.program: worker.finish() for worker in workers}
    finally:
        for worker in workers:
            worker.process.kill()


def ratios(model: str, kind: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Ours over each of the others: of the medians, of the processor's medians, turn by turn, and of the memory."""
    ours = found["ours"]
    lines = []
    for program, theirs in found.items():
        if program == "ours":
            continue
        turns = sorted(a / b for a, b in zip(ours["turns"], theirs["turns"], strict=True))
        faster = ours["structures_per_second"] / theirs["structures_per_second"]
        goal = GOALS.get((model, program, kind))
        lines.append(
            {
                "model": model,
                "kind": kind,
                "peer": program,
                "ours": ours["structures_per_second"],
                "theirs": theirs["structures_per_second"],
                "ratio": round(faster, 2),
                "lowest_and_highest_turn": [round(turns[0], 2), round(turns[-1], 2)],
                "processor_ratio": round(
                    ours["structures_per_processor_second"] / theirs["structures_per_processor_second"], 2
                ),
                "memory_mb": [ours["peak_memory_mb"], theirs["peak_memory_mb"]],
                "parameters": [ours["parameters"], theirs["parameters"]],
                "goal": goal,
                "met": None if goal is None else faster >= goal,
            }
        )
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """The ratios, for people."""
    rows = [
        "| network | step | peer | ours, structures/s | peer's | ratio (turns) | of processor time | goal | "
        "peak memory, ours / peer's (MB) |",
        "|" + " --- |" * 9,
    ]
    for line in lines:
        low, high = line["lowest_and_highest_turn"]
        goal = "" if line["goal"] is None else f"{line['goal']}{'' if line['met'] else ', missed'}"
        cells = [
            line["model"],
            line["kind"].replace("_", " "),
            line["peer"],
            f"{line['ours']:.1f}",
            f"{line['theirs']:.1f}",
            f"**{line['ratio']:.2f}** ({low:.2f}–{high:.2f})",
            f"{line['processor_ratio']:.2f}",
            goal,
            " / ".join(map(str, line["memory_mb"])),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    """Command line."""
    arguments = tyro.cli(Arguments)
    for name, known in ((arguments.models, CASES), (arguments.kinds, KINDS)):
        unknown = sorted(set(name) - set(known))
        if unknown:
            sys.exit(f"{', '.join(unknown)}: choose among {', '.join(known)}")
    if arguments.cores:
        # Inherited by the programs; both XLA and OpenMP size their pools by it.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    results: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "malloc": MALLOC, "measured": {}, "ratios": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "structures.npz"
        write_structures(data, arguments.structures)
        for model in arguments.models:
            for kind in arguments.kinds:
                found = compare(model, kind, data, arguments)
                results["measured"][f"{model} {kind}"] = found
                results["ratios"] += ratios(model, kind, found)
                if arguments.json_file is not None:
                    arguments.json_file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results["ratios"]))


if __name__ == "__main__":
    main()
