"""Fine-tuning: a run that starts from the parameters of another one."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from compbench_jax.batching.dataset import GraphDataset, compositions
from compbench_jax.errors import DataError, RunError
from compbench_jax.files import read_json
from compbench_jax.models.normalisation import fit_reference_energies
from compbench_jax.models.potential import Normalisation, Params
from compbench_jax.models.registry import config_from_json, config_to_json
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun, load_run, without_prior
from compbench_jax.training.run_folder import SPLIT_FILE

REFERENCE_FRAMES = 512
"""Most training frames that reference energies are fitted to for a potential that was not trained here."""


def load_start(folder: Path, model: Any, store: FrameStore, split: Split, prior: str = "none") -> LoadedRun:
    """The run to start from: the network of its member with the lowest validation loss.

    Args:
        folder: of that run.
        model: configuration of the potential to train, which must be that of the run.
        store: of the frames to train on.
        split: of these; none of its OOD molecules may have been trained on before.
        prior: of the potential to train, which must be that of the run.

    Raises:
        RunError: no such run, another potential or prior, or one that has seen molecules that are to test this one.
    """
    run = load_run(folder)
    if config_to_json(config_from_json(run.config["model"], folder)) != config_to_json(model):
        raise RunError(f"{folder} is a run of another potential: start with `--config {folder}/config.json`")
    if run.config["prior"] != prior:
        raise RunError(f"{folder} was trained with --prior {run.config['prior']}, this run has {prior}: give the same")
    try:
        seen = set(read_json(folder / SPLIT_FILE)["sets"]["train"]["inchikeys"])
    except (DataError, KeyError, TypeError) as error:
        raise RunError(f"{folder / SPLIT_FILE} cannot be read: what the run was trained on is not known") from error
    tested = [store.graphs[m].molecule for m in np.unique(store.molecule[split.ood_test])]
    known = [molecule.name for molecule in tested if molecule.inchikey in seen]
    if known:
        raise RunError(
            f"{folder} was trained on {len(known)} OOD molecules of this task ({known[0]}, …), which must not be seen "
            "before the test: start from a run on other molecules"
        )
    return without_prior(run)


def normalisation_from(run: LoadedRun, fitted: Normalisation, present: Collection[int] = ()) -> Normalisation:
    """The normalisation of the run to start from, which its parameters belong to, with the new reference energies.

    Its elements are those of the run and of the new frames. Those that the frames lack keep the run's energies. Weights
    by element stay normalised for the number of the run's elements.

    Args:
        run: to start from.
        fitted: to the new frames.
        present: elements of the whole data set, if those that it lacks are to be dropped.
    """
    before = run.potential.normalisation
    known = dict(zip(before.elements, before.reference_energies, strict=True))
    known |= dict(zip(fitted.elements, fitted.reference_energies, strict=True))
    if present and set(present) <= set(before.elements):
        known = {number: known[number] for number in present}
    elements = tuple(sorted(known))
    energies = tuple(known[number] for number in elements)
    fan_in = before.element_fan_in or (len(before.elements) if len(elements) != len(before.elements) else 0)
    return replace(before, elements=elements, reference_energies=energies, element_fan_in=fan_in)


def refit_references(
    run: LoadedRun, normalisation: Normalisation, store: FrameStore, train: np.ndarray
) -> Normalisation:
    """Reference energies that fit what is left of the labels once the run's own energies are taken away.

    For potentials that were not trained here, whose energies have an origin of their own for each element: against
    energies fitted to the labels alone, the first steps would do nothing but move that origin by tens of eV.

    Args:
        run: to start from.
        normalisation: to train with; of :func:`normalisation_from`.
        store: where the frames are.
        train: indices of those to train on. Molecules with elements that the run does not know are left out.
    """
    before = run.potential.normalisation
    known = np.array([np.isin(graph.numbers, before.elements).all() for graph in store.graphs])
    train = np.asarray(train)[known[store.molecule[train]]]
    if not len(train):
        return normalisation
    evenly = np.linspace(0, len(train) - 1, min(REFERENCE_FRAMES, len(train))).astype(int)
    chosen = store.gather(train[evenly])
    dataset = GraphDataset.build(
        chosen,
        elements=before.elements,
        reference_energies=before.reference_energies,
        cutoff=run.potential.cutoff,
        batch_size=32,
        triplets=run.potential.triplets,
    )
    predict, predicted = jax.jit(run.potential.energy), np.zeros(chosen.n_frames)
    for item in dataset.sequential():
        predicted[item.indices] = predict(run.params, dataset.batch(item))[: len(item.indices)]
    present = sorted(set(chosen.numbers.tolist()))
    fitted = fit_reference_energies(compositions(chosen, present), chosen.energy - predicted)
    energies = dict(zip(normalisation.elements, normalisation.reference_energies, strict=True))
    energies |= dict(zip(present, map(float, fitted), strict=True))
    return replace(normalisation, reference_energies=tuple(energies.values()))


def carry_over(start: Params, fresh: Params, before: Sequence[int], after: Sequence[int]) -> Params:
    """The parameters to start from; those of elements that the run did not know are fresh.

    Args:
        start: parameters of the run to start from.
        fresh: initial parameters of the potential to train.
        before: elements of the run, ascending.
        after: elements of the potential, ascending: the run's among them, or some of the run's.

    Raises:
        RunError: names or shapes differ in more than the number of elements.
    """
    old, new = ([path for path, _ in jax.tree_util.tree_leaves_with_path(tree)] for tree in (start, fresh))
    refusal = RunError("the run to start from has other parameters than this potential: train it with this version")
    if old != new:
        raise refusal
    fewer = len(after) < len(before)
    rows = np.searchsorted(before, after) if fewer else np.searchsorted(after, before)

    def join(kept: Any, other: Any) -> Any:
        sizes = list(zip(np.shape(kept), np.shape(other), strict=False))
        if np.ndim(kept) != np.ndim(other) or any(a != b and (a, b) != (len(before), len(after)) for a, b in sizes):
            raise refusal
        if np.shape(kept) == np.shape(other):
            return kept
        places = np.ix_(*(rows if a != b else np.arange(a) for a, b in sizes))
        if fewer:
            return np.asarray(kept)[places]
        joined = np.array(other)
        joined[places] = kept
        return joined

    return jax.tree.map(join, start, fresh)
