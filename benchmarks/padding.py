"""How much of the batches is padding, and what it costs to make them.

    python benchmarks/padding.py --data data/mini --task chain_extension --batch-sizes 8 64

For each batch size: the shape of the batches, the fractions of nodes and edges that are padding (first epoch, worst
of ten, evaluation), the places for triplets that are empty, structures per batch, and the time to plan an epoch and
to assemble a batch (with triplets).
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.store.frames import Frames
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task


@dataclass(frozen=True)
class Arguments:
    """Print the padding of packed batches."""

    data: Path
    """Folder of a store."""
    task: str = "chain_extension"
    """Task whose training and OOD test frames are packed."""
    batch_sizes: tuple[int, ...] = (8, 64)
    """Mean numbers of structures per batch."""
    cutoff: float = 5.0
    """Å."""


def report(frames: Frames, batch_size: int, cutoff: float) -> str:
    """One line on the batches of these frames."""
    elements = np.unique(frames.numbers)
    start = time.perf_counter()
    dataset = GraphDataset.build(
        frames,
        elements=elements.tolist(),
        reference_energies=[0.0] * len(elements),
        cutoff=cutoff,
        batch_size=batch_size,
        triplets=True,
    )
    build = time.perf_counter() - start
    start = time.perf_counter()
    plan = dataset.epoch(0, 0)
    packing = time.perf_counter() - start
    epochs = [dataset.padding(dataset.epoch(0, epoch)) for epoch in range(10)]
    worst = np.max(epochs, axis=0)
    evaluation = dataset.padding(dataset.sequential())
    start = time.perf_counter()
    for item in plan:
        dataset.batch(item)
    assembly = 1000 * (time.perf_counter() - start) / len(plan)
    return (
        f"batch {batch_size:3}: {dataset.n_frames} frames in {len(plan)} batches of {tuple(dataset.shape)} "
        f"(mean {dataset.n_frames / len(plan):.2f}); padding of nodes {epochs[0][0]:.1%} and edges {epochs[0][1]:.1%} "
        f"(worst epoch {worst[0]:.1%}, {worst[1]:.1%}; evaluation {evaluation[0]:.1%}, {evaluation[1]:.1%}), "
        f"empty places for triplets {dataset.triplet_padding(plan):.1%}; "
        f"neighbours and shape {build:.2f} s, plan {packing:.3f} s, assembly {assembly:.3f} ms a batch"
    )


def main() -> None:
    """Print the lines of both sets for every batch size."""
    arguments = tyro.cli(Arguments)
    store = open_store(arguments.data)
    split = get_task(arguments.task).split(store)
    for name, indices in (("train", split.train), ("OOD test", split.ood_test)):
        frames = store.gather(indices)
        for batch_size in arguments.batch_sizes:
            print(f"{name}, {report(frames, batch_size, arguments.cutoff)}")


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
