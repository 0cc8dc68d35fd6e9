"""Fine-tuning: a run that starts from the parameters of another one."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from compbench_jax.errors import RunError
from compbench_jax.models.potential import Normalisation, Params
from compbench_jax.models.registry import config_from_json
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training.checkpoint import LoadedRun, load_run
from compbench_jax.training.run_folder import SPLIT_FILE


def load_start(folder: Path, model: Any, store: FrameStore, split: Split) -> LoadedRun:
    """The run to start from: its member with the lowest validation loss.

    Args:
        folder: of that run.
        model: configuration of the potential to train, which must be that of the run.
        store: of the frames to train on.
        split: of these; none of its OOD molecules may have been trained on before.

    Raises:
        RunError: no such run, another potential, or one that has seen molecules that are to test this one.
    """
    run = load_run(folder)
    if config_from_json(run.config["model"]) != model:
        raise RunError(f"{folder} is a run of another potential: start with `--config {folder}/config.json`")
    try:
        seen = set(json.loads((folder / SPLIT_FILE).read_text(encoding="utf-8"))["sets"]["train"]["inchikeys"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder / SPLIT_FILE} cannot be read: what the run was trained on is not known") from error
    tested = [store.graphs[m].molecule for m in np.unique(store.molecule[split.ood_test])]
    known = [molecule.name for molecule in tested if molecule.inchikey in seen]
    if known:
        raise RunError(
            f"{folder} was trained on {len(known)} OOD molecules of this task ({known[0]}, …), which must not be seen "
            "before the test: start from a run on other molecules"
        )
    return run


def normalisation_from(run: LoadedRun, fitted: Normalisation) -> Normalisation:
    """The normalisation of the run to start from, which its parameters belong to, with the new reference energies.

    Raises:
        RunError: the frames have other elements than those that the run was trained on.
    """
    before = run.potential.normalisation
    if before.elements != fitted.elements:
        raise RunError(
            f"the run to start from knows the elements {list(before.elements)}, the frames have "
            f"{list(fitted.elements)}: start from a run on the same elements"
        )
    return replace(before, reference_energies=fitted.reference_energies)


def check_parameters(start: Params, template: Params) -> Params:
    """The parameters to start from, if their names and shapes are those of the potential.

    Raises:
        RunError: they are not.
    """
    shapes = [
        [(path, np.shape(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(t)] for t in (start, template)
    ]
    if shapes[0] != shapes[1]:
        raise RunError("the run to start from has other parameters than this potential: train it with this version")
    return start


def freezing(patterns: tuple[str, ...], params: Params) -> optax.GradientTransformation:
    """Keep parameters as they are whose path, e.g. ``params/embedding/kernel``, contains one of these expressions.

    Raises:
        RunError: an expression that is not valid, or that no parameter fits.
    """
    paths = {path: name for path, name in _names(params)}
    for pattern in patterns:
        try:
            fits = [name for name in paths.values() if re.search(pattern, name)]
        except re.error as error:
            raise RunError(f"--freeze {pattern!r} is not a regular expression ({error})") from error
        if not fits:
            raise RunError(
                f"--freeze {pattern!r} fits no parameter: there are {', '.join(sorted(paths.values()))[:300]}"
            )
    mask = jax.tree_util.tree_map_with_path(
        lambda path, _: any(re.search(pattern, paths[path]) for pattern in patterns), params
    )
    return optax.masked(optax.set_to_zero(), mask)


def _names(params: Params) -> list[tuple[Any, str]]:
    """Path and readable path of each parameter."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [(path, "/".join(str(getattr(key, "key", key)) for key in path)) for path, _ in leaves]
