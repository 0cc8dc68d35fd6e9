"""Frames of made-up carbon chains: sizes and neighbour numbers like those of real alkanes."""

from collections.abc import Iterable

import numpy as np

from compbench_jax.store.frames import Frames, offsets_of


def chain(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Atomic numbers and positions (Å) of an all-trans alkane C_nH_(2n+2)."""
    carbon = np.array([[1.27 * i, 0.43 * (-1) ** i, 0.0] for i in range(n)])
    side = np.array([[0.0, 0.63 * (-1) ** i, 0.88] for i in range(n)])
    mirrored = side * [1, 1, -1]
    ends = np.array([carbon[0] + [-0.9, -0.6, 0.0], carbon[-1] + [0.9, -0.6 * (-1) ** (n - 1), 0.0]])
    numbers = np.array([6] * n + [1] * (2 * n + 2), np.int32)
    return numbers, np.concatenate([carbon, carbon + side, carbon + mirrored, ends])


def chain_frames(lengths: Iterable[int], seed: int = 0, thermal: float = 0.1) -> Frames:
    """One frame for each chain length, atoms displaced at random, with random labels."""
    rng = np.random.default_rng(seed)
    lengths = np.asarray(list(lengths))
    molecules = [chain(int(n)) for n in lengths]
    positions = np.concatenate([np.zeros((0, 3)), *(x for _, x in molecules)])
    return Frames(
        numbers=np.concatenate([np.zeros(0, np.int32), *(z for z, _ in molecules)]),
        positions=(positions + rng.normal(0, thermal, positions.shape)).astype(np.float32),
        forces=rng.normal(0, 1, positions.shape).astype(np.float32),
        energy=-100.0 * lengths + rng.normal(0, 1, len(lengths)),
        molecule=lengths.astype(np.int32) - 2,
        offsets=offsets_of([len(z) for z, _ in molecules]),
    )
