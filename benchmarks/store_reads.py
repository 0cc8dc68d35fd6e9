"""Opening a store and gathering random frames of it: seconds, and memory beyond what the process had.

    python benchmarks/store_reads.py                   # on a store of the standard set's size, made of data/mini
    python benchmarks/store_reads.py --data DIR        # on another one

Each round is a process of its own. "cold" is the first round after the files' pages were dropped from the page cache
(where the system allows it), "warm" the median of the others. Memory is the growth of the process's peak beyond the
imports (Linux), with the pages of the memory maps that it touched counted in (they are the kernel's to drop).

Wanted of the standard set: open and gather under 0.5 s together, under 300 MB.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.store.store import SETS, open_store
from compbench_jax.store.writer import Trajectory, write_store


@dataclass(frozen=True)
class Arguments:
    """Measure open_store and gather."""

    data: Path | None = None
    """Folder of a store. Without it: data/mini, its frames repeated to 300 primary and 150 secondary a molecule."""
    frames: int = 20_000
    """Random frames to gather, in one call."""
    rounds: int = 7
    """Processes to measure in."""
    keep: Path | None = None
    """Leave the store that is made here."""
    json: bool = False
    """Print one JSON object in place of text."""


ROUND = """
import json, sys, time
import numpy as np
from compbench_jax.store.store import open_store
def peak():  # of this program: ru_maxrss would go on from the program that started it
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before, cpu, start = peak(), time.process_time(), time.perf_counter()
store = open_store(sys.argv[1])
opened = time.perf_counter()
indices = np.random.default_rng(int(sys.argv[3])).integers(0, store.n_frames, int(sys.argv[2]))
ready = time.perf_counter()
frames = store.gather(indices)
end, cpu = time.perf_counter(), time.process_time() - cpu
assert frames.n_frames == int(sys.argv[2]) and np.isfinite(frames.positions).all()
print(json.dumps({"open": opened - start, "gather": end - ready, "cpu": cpu, "memory": peak() - before}))
"""


def enlarge(source: Path, target: Path) -> None:
    """A store of the standard set's size: 300 primary and 150 secondary frames per molecule, in 10 and 5 segments."""
    store = open_store(source)
    rng = np.random.default_rng(0)
    trajectories = []
    for index, graph in enumerate(store.graphs):
        for name, segments in zip(SETS, (10, 5), strict=True):
            own = store.gather(store.select(index, name))
            for segment in range(segments):
                chosen = rng.integers(0, own.n_frames, 30)
                shape = (-1, graph.n_atoms, 3)
                trajectories.append(
                    Trajectory(
                        molecule=index,
                        set=name,
                        segment=segment,
                        positions=own.positions.reshape(shape)[chosen],
                        forces=own.forces.reshape(shape)[chosen],
                        energy=own.energy[chosen],
                        time=10.0 * np.arange(1, 31, dtype=np.float32),
                        temperature=np.full(30, 300, np.float32),
                    )
                )
    write_store(target, replace(store.manifest, files={}), store.graphs, trajectories)


def drop_pages(folder: Path) -> None:
    """Ask the kernel to forget the files, as after a restart."""
    for path in folder.iterdir():
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(folder: Path, frames: int, rounds: int) -> dict[str, object]:
    """Figures of all rounds on one store."""
    drop_pages(folder)
    results = []
    for seed in range(rounds):
        command = [sys.executable, "-c", ROUND, str(folder), str(frames), str(seed)]
        results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    cold, warm = results[0], results[1:] or results
    return {
        "store_frames": open_store(folder).n_frames,
        "gathered": frames,
        "open_seconds": {"cold": cold["open"], "warm": float(np.median([r["open"] for r in warm]))},
        "gather_seconds": {"cold": cold["gather"], "warm": float(np.median([r["gather"] for r in warm]))},
        "cpu_seconds": float(np.median([r["cpu"] for r in results])),
        "memory_mb": max(r["memory"] for r in results),
    }


def main() -> None:
    """Measure and print."""
    arguments = tyro.cli(Arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.data
        if folder is None:
            folder = arguments.keep or Path(scratch) / "store"
            enlarge(Path(__file__).parent.parent / "data" / "mini", folder)
        result = measure(folder, arguments.frames, arguments.rounds)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['gathered']} random frames of {result['store_frames']}:")
    for name in ("cold", "warm"):
        opened, gathered = (float(result[key][name]) for key in ("open_seconds", "gather_seconds"))  # type: ignore[index]
        print(f"  {name}: open {opened:.3f} s, gather {gathered:.3f} s, together {opened + gathered:.3f} s")
    print(f"  processor time of both: {result['cpu_seconds']:.3f} s (what an idle machine would take)")
    print(f"  memory beyond the imports: {result['memory_mb']:.0f} MB")


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
