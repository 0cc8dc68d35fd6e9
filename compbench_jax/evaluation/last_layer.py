"""Standard deviation of the energies of a single potential, from its last layer.

Last-layer prediction rigidity (Bigi et al., Mach. Learn.: Sci. Technol. 5, 045018, 2024). The energy of a molecule is
linear in the weights of the last layer. What multiplies them, its *features* f, are sums over the atoms, in eV per unit
of weight. With the features F of the training frames, the variance of an energy is

    σ² = α² fᵀ (FᵀF + ς² 1)⁻¹ f

It is large where training frames say little of what the molecule asks for. α and ς are those of highest likelihood of
the errors of the tuning frames; test frames are not used.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.errors import RunError
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.evaluate import TEST_PARTS, Evaluation
from compbench_jax.evaluation.predict import predict
from compbench_jax.evaluation.score import same_molecules
from compbench_jax.evaluation.sets import datasets_of, step_of
from compbench_jax.evaluation.settings import Settings
from compbench_jax.evaluation.uncertainty import Items, spread_block
from compbench_jax.files import array_bytes, save
from compbench_jax.models.potential import Params, Potential
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun

FILE = "last_layer.npy"
"""The matrix α² (FᵀF + ς² 1)⁻¹ of a run, float64 ``[n_features, n_features]``."""

LAST = re.compile(
    r"(^|/)(output_1|outnet_1|readout(_\d+)?|output_\d+/lin|out_energy/linear|energy/linear_2|energy_1)/(kernel|bias)$"
)
"""Parameters of the last layers of our potentials."""

RIDGES = 10.0 ** np.arange(-10, 1)
"""Values of ς² that are tried, relative to the mean eigenvalue of FᵀF."""


def make_features(potential: Potential) -> Callable[[Params, Any], jax.Array]:
    """``features(params, graph)``, eV per unit of weight, ``[n_graph, n_features]``; to be compiled.

    Raises:
        RunError: when it is called, for a potential whose last layer is not known.
    """

    def features(params: Params, graph: Any) -> jax.Array:
        paths, tree = jax.tree_util.tree_flatten_with_path(params)
        leaves = [leaf for _, leaf in paths]
        last = [k for k, (path, _) in enumerate(paths) if LAST.search("/".join(str(key.key) for key in path))]
        if not last:
            raise RunError("the last layer of this potential is not known: train an ensemble, --seeds 4")

        def energy(weights: list[jax.Array]) -> jax.Array:
            given = dict(zip(last, weights, strict=True))
            replaced = [given.get(k, leaf) for k, leaf in enumerate(leaves)]
            return potential.energy(jax.tree_util.tree_unflatten(tree, replaced), graph)

        rows = jax.jacrev(energy)([leaves[k] for k in last])
        return jnp.concatenate([row.reshape(len(row), -1) for row in rows], axis=1)

    return features


def features_of(run: LoadedRun, dataset: GraphDataset) -> np.ndarray:
    """Features of every frame of a set, float64 ``[n_frames, n_features]``."""
    program, plan = jax.jit(make_features(run.potential)), dataset.sequential()
    rows = [np.asarray(program(run.params, dataset.batch(item)), np.float64)[: len(item.indices)] for item in plan]
    return np.concatenate(rows)[np.argsort(np.concatenate([item.indices for item in plan]))]


def rigidity(train: np.ndarray, tuning: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The matrix α² (FᵀF + ς² 1)⁻¹.

    Args:
        train: features of the training frames, ``[n, n_features]``.
        tuning: of the tuning frames, ``[m, n_features]``.
        errors: of their energies, eV ``[m]``.
    """
    values, vectors = np.linalg.eigh(train.T @ train)
    best, chosen = np.inf, vectors
    for ridge in RIDGES * values.mean():
        inverse = (vectors / (np.maximum(values, 0) + ridge)) @ vectors.T
        spread = variances(tuning, inverse)
        scale = np.mean(errors**2 / spread)  # where the derivative of the likelihood by α² is zero
        loss = np.log(scale * spread).mean()
        if loss < best:
            best, chosen = loss, scale * inverse
    return chosen


def variances(features: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """σ² of the energies of these features, eV² ``[n]``."""
    return np.einsum("ni,ij,nj->n", features, matrix, features)


def centred(values: np.ndarray, molecule: np.ndarray) -> np.ndarray:
    """Values ``[n, m]`` less the mean over the frames of their molecule."""
    _, owner, counts = np.unique(molecule, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, owner, values)
    return values - (sums / counts[:, None])[owner]


def read_rigidity(run: Path) -> np.ndarray:
    """The matrix of a run.

    Raises:
        RunError: there is none that can be read.
    """
    try:
        return np.load(run / FILE, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RunError(f"{run / FILE} cannot be read: run compbench evaluate --run {run} --uncertainty") from error


def with_last_layer(
    evaluation: Evaluation, run: LoadedRun, store: FrameStore, split: Split, settings: Settings, folder: Path
) -> Evaluation:
    """The evaluation with the block ``last_layer``: how the standard deviation fits the errors, as of ensembles.

    Both are of energies less the mean of their molecule: some tasks leave the mean of OOD molecules undetermined. The
    matrix goes to ``FOLDER/last_layer.npy``, where ``Calculator(run, uncertainty=True)`` reads it.

    Raises:
        RunError: the last layer of the potential is not known, or the file cannot be written.
    """
    frames = [split.train, split.validation, *(evaluation.frames[part] for part in TEST_PARTS)]
    train, tuning, *tests = datasets_of(run, store, frames, settings)
    errors = predict(step_of(run.potential), run.params, tuning).energy - store.energy[split.validation]
    matrix = rigidity(features_of(run, train), features_of(run, tuning), errors)
    save(folder / FILE, array_bytes(matrix))
    block = {}
    for part, dataset in zip(TEST_PARTS, tests, strict=True):
        indices = evaluation.frames[part]
        molecule = same_molecules(store.graphs)[store.molecule[indices]]
        error = centred((evaluation.predictions[part].energy - store.energy[indices])[:, None], molecule)[:, 0]
        items = Items(variances(centred(features_of(run, dataset), molecule), matrix), error**2, molecule)
        block[part] = spread_block(items, settings.samples, settings.seed, part)
    result = msgspec.structs.replace(evaluation.results.result, last_layer={"energy": block})
    return Evaluation(Derived(result), evaluation.predictions, evaluation.frames, evaluation.showcase)
