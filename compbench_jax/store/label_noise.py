"""How small an error can mean anything: the labels' own numerical noise, and another level of theory, on a sample.

A label is as exact as its self-consistent field (SCF) is converged. The same frames at tighter and at looser tolerances
show how exact that is; no potential can be told to be better than the difference to the tighter ones. A cheap level of
theory shows from the other side what no training at all gives.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.labelling.dft import PySCFLevel
from compbench_jax.labelling.levels import Level
from compbench_jax.labelling.xtb import XTBLevel
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True)
class LabelNoise:
    """Labels against the same frames computed in another way.

    Attributes:
        name: how they were computed again.
        n_frames: frames that were compared.
        failed: frames whose calculation failed.
        force_mae: eV/Å, over atoms and components.
        force_rmse: likewise.
        force_max: largest difference of a component.
        energy_mae: eV, after each molecule's mean difference is taken out (two levels have two zeros of energy); None
            with one frame a molecule.
    """

    name: str
    n_frames: int
    failed: int
    force_mae: float
    force_rmse: float
    force_max: float
    energy_mae: float | None


def with_tolerance(level: Level, factor: float) -> Level | None:
    """The level with its SCF tolerances multiplied by ``factor``; None where they cannot be set from here."""
    if isinstance(level, XTBLevel):
        return replace(level, label_accuracy=level.label_accuracy * factor)
    if isinstance(level, PySCFLevel):
        return replace(level, conv_tol=level.conv_tol * factor, conv_tol_grad=level.conv_tol_grad * factor)
    return None


def noise_sample(store: FrameStore, most: int, seed: int) -> np.ndarray:
    """Frames to compute again: random molecules, two frames of each (from the ends of its primary set), int64
    ascending; all molecules and more frames where ``most`` allows.
    """
    rng = np.random.default_rng(seed)
    present = np.unique(store.molecule)
    molecules = rng.permutation(present)[: max(1, most // 2)]
    each = max(2, most // len(present))
    chosen = []
    for molecule in molecules:
        own = np.flatnonzero(store.molecule == molecule)
        chosen.append(own[np.unique(np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int))])
    return np.sort(np.concatenate(chosen))


def measure_noise(
    store: FrameStore, frames: np.ndarray, level: Level, name: str, on_label: Callable[[], None] = lambda: None
) -> LabelNoise:
    """Compute frames again and compare with their labels.

    Args:
        store: where the labels are.
        frames: which ones, ascending.
        level: how.
        name: of this comparison.
        on_label: called after each frame.

    Raises:
        DataError: no frame could be computed.
    """
    from ase.calculators.calculator import CalculationFailed

    differences, energies, owners, failed = [], [], [], 0
    for frame in frames:
        graph = store.graphs[store.molecule[frame]]
        rows = slice(store.offsets[frame], store.offsets[frame + 1])
        try:
            energy, forces = level.label(graph.numbers, np.asarray(store.positions[rows], np.float64))
        except CalculationFailed:
            failed += 1
            continue
        finally:
            on_label()
        differences.append((forces - store.forces[rows]).ravel())
        energies.append(energy - float(store.energy[frame]))
        owners.append(int(store.molecule[frame]))
    if not differences:
        raise DataError(f"{name}: none of {len(frames)} frames could be computed: check the program with verify")
    error = np.concatenate(differences)
    return LabelNoise(
        name,
        len(differences),
        failed,
        float(np.abs(error).mean()),
        float(np.sqrt((error**2).mean())),
        float(np.abs(error).max()),
        centred_mae(np.array(energies), np.array(owners)),
    )


def centred_mae(errors: np.ndarray, molecule: np.ndarray) -> float | None:
    """Mean absolute error after each molecule's own mean is taken out, over molecules with two frames and more."""
    _, index, counts = np.unique(molecule, return_inverse=True, return_counts=True)
    several = counts[index] > 1
    if not several.any():
        return None
    means = np.bincount(index, weights=errors) / counts
    return float(np.abs(errors - means[index])[several].mean())
