"""One program at one kind of work, in a process and an environment of its own; run by ``benchmarks/against_peers.py``.

    python worker.py PROGRAM MODEL KIND DATA BATCH_SIZE

prepares the program, writes one line of JSON about it, then takes as many steps as each line of its input says and
answers with the structures, wall seconds and processor seconds of each. At the end of its input it tells the most
memory it ever held. Needs NumPy, and what the program itself needs.

A program is a module of this folder with ``prepare(model, kind, data, batch_size) -> Program``.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

WARM_UP = 3
"""Steps before the first that counts: compilation, then two that fill the allocator's pools and the caches."""


class Program(NamedTuple):
    """A program ready to work.

    Attributes:
        steps: one call a batch, in order; each does one step and returns when it is done.
        structures: real structures in each batch.
        parameters: numbers that are trained.
        version: of the program.
        padding: fraction of the edges in the batches that are padding.
    """

    steps: list[Callable[[], Any]]
    structures: list[int]
    parameters: int
    version: str
    padding: float = 0.0


class Structures(NamedTuple):
    """The work: structures with labels, Å, eV and eV/Å.

    Attributes:
        numbers: atomic numbers, one array a structure.
        positions: ``[n_atoms, 3]`` each.
        forces: ``[n_atoms, 3]`` each.
        energy: one each.
        cutoff: of the neighbour lists.
        average_neighbours: mean number of neighbours of an atom.
    """

    numbers: list[np.ndarray]
    positions: list[np.ndarray]
    forces: list[np.ndarray]
    energy: list[float]
    cutoff: float
    average_neighbours: float


def read_structures(path: str) -> Structures:
    """The structures that ``against_peers.py`` wrote."""
    with np.load(path, allow_pickle=False) as data:
        cuts = data["offsets"][1:-1]
        ragged = [np.split(data[key], cuts) for key in ("numbers", "positions", "forces")]
        energy = data["energy"].tolist()
        return Structures(*ragged, energy, float(data["cutoff"]), float(data["average_neighbours"]))


def random_batches(data: Structures, batch_size: int) -> list[np.ndarray]:
    """Structures in random order, ``batch_size`` at a time: for programs that need no padding."""
    order = np.random.default_rng(0).permutation(len(data.numbers))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def edges(positions: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers of all ordered pairs closer than the cutoff, sorted by receiver."""
    distances = np.linalg.norm(positions[:, None].astype(np.float64) - positions[None], axis=-1)
    receivers, senders = np.nonzero((distances < cutoff) & ~np.eye(len(positions), dtype=bool))
    return senders, receivers


def join(data: Structures, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Structures of one batch end to end: atoms, their structure, edges, labels."""
    sizes = [len(data.numbers[i]) for i in batch]
    shift = np.cumsum([0, *sizes])
    pairs = [edges(data.positions[i], data.cutoff) for i in batch]
    return {
        "numbers": np.concatenate([data.numbers[i] for i in batch]).astype(np.int64),
        "positions": np.concatenate([data.positions[i] for i in batch]),
        "forces": np.concatenate([data.forces[i] for i in batch]),
        "energy": np.array([data.energy[i] for i in batch], np.float32),
        "sizes": np.array(sizes),
        "structure": np.repeat(np.arange(len(batch)), sizes),
        "senders": np.concatenate([s + k for (s, _), k in zip(pairs, shift, strict=False)]),
        "receivers": np.concatenate([r + k for (_, r), k in zip(pairs, shift, strict=False)]),
    }


def take(program: Program, first: int, count: int) -> list[tuple[int, float, float]]:
    """Take steps on the batches in turn: structures, wall seconds and processor seconds of each."""
    result = []
    for k in range(first, first + count):
        i = k % len(program.steps)
        processor, wall = time.process_time(), time.perf_counter()
        program.steps[i]()
        result.append((program.structures[i], time.perf_counter() - wall, time.process_time() - processor))
    return result


def main() -> None:
    """Follow the protocol."""
    name, model, kind, path, batch_size = sys.argv[1:]
    # The answers have standard output to themselves, whatever the program prints.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = time.perf_counter()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    program = importlib.import_module(name).prepare(model, kind, read_structures(path), int(batch_size))
    done = WARM_UP
    take(program, 0, WARM_UP)
    about = {key: getattr(program, key) for key in ("parameters", "version", "padding")}
    print(json.dumps({**about, "set_up_seconds": round(time.perf_counter() - start, 2)}), file=answers)
    for line in sys.stdin:
        print(json.dumps(take(program, done, int(line))), file=answers)
        done += int(line)
    print(json.dumps({"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), file=answers)


if __name__ == "__main__":
    # Programs import this file under its name: one and the same module.
    sys.modules["worker"] = sys.modules["__main__"]
    main()
