"""A prior: the classical force field, fitted to the training frames and taken from the labels before training.

The network learns what is left. ``RUN/prior`` holds the force field (``potential.json``, ``parameters.npz``), and
whoever loads the run gets the sum of both. Its pairs end at the network's cutoff: one neighbour list serves both.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import jax
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.errors import DataError, RunError
from compbench_jax.files import atomic_file, read_bytes
from compbench_jax.models.baselines.classical import LEVELS, N_LEVELS, ClassicalConfig
from compbench_jax.models.baselines.fit import fit_baseline
from compbench_jax.models.potential import PRIOR, Normalisation, Params, Potential
from compbench_jax.models.precision import cast_params, dtype_of
from compbench_jax.splits.frames import evenly_spaced
from compbench_jax.splits.split import Split
from compbench_jax.store.frames import ragged_indices
from compbench_jax.store.store import FrameStore
from compbench_jax.training import potential_file
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.data import build_data, normalisation_of

FOLDER = "prior"
FILE = "parameters.npz"
MOST_BYTES = 1 << 30
BATCH = 32
"""Structures per batch when the prior's energies and forces are computed."""

ARRAYS = {
    **{f"atom_{level}": "i" for level in range(1, N_LEVELS)},
    **{f"into_{level}": "i" for level in range(N_LEVELS)},
    **{f"{kind}_{level}_types": "i" for kind, levels in LEVELS.items() for level in levels},
    **{f"{kind}_{level}": "f" for kind, levels in LEVELS.items() for level in levels},
}
"""Parameters of the force field (:class:`compbench_jax.models.baselines.classical.Classical`): integers or floats."""

OF_ELEMENTS = ("into_0", "bond_0_types", "pair_0_types")
"""Those of them whose last two axes are elements, and one place more for any other element."""


def exists(run: Path) -> bool:
    """Whether the prior of a run has been fitted."""
    return (run / FOLDER / FILE).exists()


def fit(run: Path, configuration: RunConfig, store: FrameStore, split: Split) -> str:
    """Fit the force field to the training frames and write it to ``RUN/prior``.

    Returns:
        a line about the fit.

    Raises:
        DataError: frames that it cannot be fitted to, or an atom with more than four bonds.
    """
    model = ClassicalConfig(cutoff=configuration.model.cutoff)
    normalisation = normalisation_of(store.gather(split.train), model.cutoff)
    data = build_data(store, split, normalisation, model.cutoff, configuration.batch_size, 0, bonded=True)
    train, validation = cast(GraphDataset, data.train), cast(GraphDataset, data.validation)  # see train_run
    params, words = fit_baseline(model, normalisation, train, validation)
    write(run, model, normalisation, params["params"])
    return words


def copy(start: Path, run: Path, elements: Sequence[int]) -> None:
    """Give a run the prior of the run that it starts from, whose parameters belong to it.

    Args:
        start: folder of that run.
        run: of the new one.
        elements: atomic numbers of its training frames; those that the prior has not met get no energy from it.
    """
    potential, params = read(start)
    normalisation = potential.normalisation
    before = dict(zip(normalisation.elements, normalisation.reference_energies, strict=True))
    after = sorted({*before, *map(int, elements)})
    rows = [normalisation.elements.index(z) if z in before else len(before) for z in after] + [len(before)]
    params = {name: x[..., rows, :][..., rows] if name in OF_ELEMENTS else x for name, x in params.items()}
    energies = tuple(before.get(z, 0.0) for z in after)
    normalisation = replace(normalisation, elements=tuple(after), reference_energies=energies)
    write(run, ClassicalConfig(cutoff=potential.cutoff), normalisation, params)


def write(run: Path, model: ClassicalConfig, normalisation: Normalisation, params: Params) -> None:
    """Write ``RUN/prior``; a prior is there when its parameters are, the last file."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    potential_file.write(folder, model, normalisation)
    with atomic_file(folder / FILE) as handle:
        np.savez_compressed(handle, **params)


def read(run: Path) -> tuple[Potential, Params]:
    """The prior of a run and its parameters, without the key ``"params"``.

    Raises:
        RunError: it is missing or damaged.
    """
    path = run / FOLDER / FILE
    potential = potential_file.read(path.parent)
    try:
        with np.load(io.BytesIO(read_bytes(path, MOST_BYTES)), allow_pickle=False) as content:
            params = {name: content[name] for name in content.files}
        if {name: array.dtype.kind for name, array in params.items()} != ARRAYS:
            raise ValueError("it has other arrays")
    except DataError as error:
        raise RunError(str(error)) from error
    except Exception as error:  # zipfile, zlib and NumPy each raise their own for a damaged file
        raise RunError(f"{path} is damaged ({error}): restore it, or train again in a new folder") from error
    return potential, params


def with_prior(potential: Potential, run: Path) -> tuple[Potential, Params]:
    """A run's potential with its prior, and what its parameters have more than the network's."""
    prior, params = read(run)
    return replace(potential, prior=prior), {PRIOR: cast_params(params, potential.precision)}


def labels_without(run: Path, configuration: RunConfig, store: FrameStore, split: Split) -> FrameStore:
    """The store with labels that are less by the prior's energies and forces.

    The frames that training looks at have such labels (training, validation and monitors, in memory, forces in the
    precision of the run); all others have NaN.

    Raises:
        RunError: the run has no prior that can be read.
        DataError: an element that does not occur in training.
    """
    prior, params = read(run)
    dtype = dtype_of(configuration.precision)
    params = {"params": cast_params(params, configuration.precision)}
    monitors = [evenly_spaced(part, configuration.watch.monitor_frames) for part in (split.id_test, split.ood_test)]
    frames = np.unique(np.concatenate([split.train, split.validation, *monitors])).astype(np.int64)
    dataset = GraphDataset.build(
        store.gather(frames),
        elements=prior.normalisation.elements,
        reference_energies=prior.normalisation.reference_energies,
        cutoff=prior.cutoff,
        batch_size=BATCH,
        graphs=store.graphs,
        dtype=dtype,
    )
    energy: np.ndarray = np.full(store.energy.shape, np.nan)
    forces: np.ndarray = np.full(store.forces.shape, np.nan, dtype)
    step = jax.jit(prior.energy_and_forces)
    for item in dataset.sequential():
        of_frames, of_atoms = map(np.asarray, step(params, dataset.batch(item)))
        chosen = frames[item.indices]
        rows = ragged_indices(store.offsets[chosen], store.offsets[chosen + 1] - store.offsets[chosen])
        energy[chosen] = store.energy[chosen] - of_frames[: len(chosen)]
        forces[rows] = store.forces[rows] - of_atoms[: len(rows)]
    return replace(store, energy=energy, forces=forces)
