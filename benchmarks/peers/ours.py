"""compbench_jax at the work of ``worker.py``: the steps of ``benchmarks/throughput.py``."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from worker import Program, Structures

sys.path.insert(0, str(Path(__file__).parents[1]))

from throughput import COMPARED, work_of

from compbench_jax.store.frames import Frames, offsets_of


def prepare(model: str, kind: str, data: Structures, batch_size: int) -> Program:
    """Our potential; batches as in training."""
    frames = Frames(
        numbers=np.concatenate(data.numbers),
        positions=np.concatenate(data.positions),
        forces=np.concatenate(data.forces),
        energy=np.array(data.energy),
        molecule=np.zeros(len(data.numbers), np.int32),
        offsets=offsets_of([len(numbers) for numbers in data.numbers]),
    )
    work = work_of(COMPARED[model], frames, batch_size)
    call = work.train if kind == "train" else work.evaluate
    return Program(
        [lambda graph=graph: call(graph) for graph in work.batches],
        work.structures,
        work.parameters,
        version("compbench_jax"),
        work.padding[1],
    )
