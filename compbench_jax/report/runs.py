"""Results of several runs put together: runs that differ in their seed only are one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.derived import Derived, comparison, read_results
from compbench_jax.evaluation.ensemble import MEMBERS
from compbench_jax.evaluation.identity import recipe
from compbench_jax.evaluation.intervals import Comparison
from compbench_jax.evaluation.result_file import FILE

Results = Derived
PARTS = ("id", "ood")


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one model on one task and the same data that differ in their seed only.

    Attributes:
        task: canonical name.
        model: name of the preset.
        runs: their results, by ascending seed.
        comparison: ID, OOD and ratio; of several runs the mean, the interval over molecules and seeds.
    """

    task: str
    model: str
    runs: tuple[Results, ...]
    comparison: Comparison


def group_runs(results: Sequence[Results]) -> list[Group]:
    """Group results by everything but the seed, in the order of first occurrence, and pool each group.

    Raises:
        RunError: the same run is given twice, or results are of other molecules.
    """
    groups: dict[str, list[Results]] = {}
    for item in results:
        groups.setdefault(identity(item), []).append(item)
    pooled = []
    for runs in groups.values():
        runs.sort(key=lambda item: item["seed"])
        seeds = [item["seed"] for item in runs]
        if len(set(seeds)) < len(seeds):
            raise RunError(
                f"the results of {runs[0]['model']} on {runs[0]['task']} with seed {repeated(seeds)} are "
                "given twice: give each run once"
            )
        kind = runs[0]["kind"]
        told = f" ({kind})" if kind in TOLD else ""
        model = runs[0]["model"] + told + (" (partial)" if any("partial" in run for run in runs) else "")
        pooled.append(Group(runs[0]["task"], model, tuple(runs), pool(runs)))
    return pooled


TOLD = ("zero-shot", "fine-tuned")
"""Kinds that follow the name of a model, since the same one may be trained here from random parameters too."""


def identity(results: Results) -> str:
    """Everything that two runs must share to differ in their seed only."""
    molecules = [sorted(results.inchikeys(part)) for part in PARTS]
    what = [*(results[key] for key in ("task", "model", "kind", "data")), molecules, recipe(results["config"])]
    return json.dumps(what, sort_keys=True)


def pool(runs: Sequence[Results], like: Results | None = None) -> Comparison:
    """ID, OOD and ratio of runs on the same molecules.

    Args:
        runs: results that differ in their seed only.
        like: results whose order of molecules to take, so that two pools can be compared.
    """
    return comparison(*(stacked_sums(runs, part, runs[0] if like is None else like) for part in PARTS))


def stacked_sums(runs: Sequence[Results], part: str, like: Results) -> np.ndarray:
    """Molecule sums of several runs in the order of ``like``, ``[n_runs, n_molecules, n_columns]``."""
    return np.stack([ordered_sums(run, part, like.inchikeys(part)) for run in runs])


def read_runs(paths: Sequence[Path]) -> list[tuple[Path, Results]]:
    """Results of runs and their folders; of a run with several seeds, those of each.

    Raises:
        RunError: as :func:`compbench_jax.evaluation.derived.read_results`.
    """
    found: list[tuple[Path, Results]] = []
    for path in paths:
        folder = path.parent if path.is_file() else path
        results = read_results(path)
        trained = results.get("members", {}).get("trained", ())
        folders = [folder / MEMBERS / str(item["member"]) for item in trained]
        members = [item for item in folders if (item / FILE).exists()]
        found += [(item, read_results(item)) for item in members] or [(folder, results)]
    return found


def ordered_sums(results: Results, part: str, keys: Sequence[str]) -> np.ndarray:
    """Molecule sums in the order of these InChIKeys, ``[n_molecules, n_columns]``.

    Raises:
        RunError: the results are of other molecules.
    """
    own, sums = results.inchikeys(part), results.sums(part)
    if sorted(own) != sorted(keys):
        raise RunError(
            f"the {part.upper()} molecules of {results['model']} on {results['task']} differ from those of "
            "the other run: compare runs of the same task on the same data"
        )
    place = {key: index for index, key in enumerate(own)}
    return sums[[place[key] for key in keys]]


def check_comparable(a: Results, b: Results) -> None:
    """Refuse to pair runs that were not evaluated on the same frames.

    Raises:
        RunError: says what differs.
    """
    for key, what in (("task", "tasks"), ("data", "data sets")):
        if a[key] != b[key]:
            raise RunError(
                f"the runs are of different {what} ({a[key]} and {b[key]}): compare runs evaluated on the same frames"
            )
    for part in PARTS:
        if a[part]["n_frames"] != b[part]["n_frames"]:
            raise RunError(
                f"the runs have {a[part]['n_frames']} and {b[part]['n_frames']} {part.upper()} frames: "
                "evaluate both with this version of evaluate.py"
            )


def repeated(values: Sequence[Any]) -> Any:
    """The first value that occurs again."""
    return next(value for index, value in enumerate(values) if value in values[:index])
