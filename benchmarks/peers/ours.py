"""compbench_jax at the work of ``worker.py``: the steps of ``benchmarks/throughput.py``."""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from worker import Program, Structures

sys.path.insert(0, str(Path(__file__).parents[1]))

from throughput import work_of

from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.nequip import NequIPConfig
from compbench_jax.models.painn import PaiNNConfig
from compbench_jax.models.schnet import SchNetConfig
from compbench_jax.store.frames import Frames, offsets_of

MODELS = {
    "mace-64": MACEConfig(channels=64, hidden_l=2),
    "nequip-64": NequIPConfig(channels=64, layers=4),
    "painn-128": PaiNNConfig(features=128, interactions=3),
    "schnet-128": SchNetConfig(features=128, interactions=6),
}


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
    work = work_of(MODELS[model], frames, batch_size)
    call = work.train if kind == "train" else work.evaluate
    return Program(
        [lambda graph=graph: call(graph) for graph in work.batches],
        work.structures,
        work.parameters,
        version("compbench_jax"),
        work.padding[1],
    )
