"""Results of several runs put together: runs that differ in their seed only are one."""

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.assemble import comparison
from compbench_jax.evaluation.intervals import Comparison
from compbench_jax.evaluation.members import MEMBERS
from compbench_jax.evaluation.results import FILE, molecule_sums, read_results
from compbench_jax.metrics.aggregate import SUM_COLUMNS
from compbench_jax.models.registry import BASELINES, config_from_json, config_to_json
from compbench_jax.training.configuration import FORMAT, FREE, GROUPS, Configuration, flatten

Results = Mapping[str, Any]
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
        RunError: the same run is given twice, or results hold no molecule sums of this version.
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
        kind = kind_of(runs[0])
        told = f" ({kind})" if kind in TOLD else ""
        model = runs[0]["model"] + told + (" (partial)" if any("partial" in run for run in runs) else "")
        pooled.append(Group(runs[0]["task"], model, tuple(runs), pool(runs)))
    return pooled


TOLD = ("zero-shot", "fine-tuned")
"""Kinds that stand beside the name of a model, since the same one may be trained here from the beginning too."""


def kind_of(results: Results) -> str:
    """How a potential came to be.

    Returns:
        ``"trained"`` here from random parameters; ``"fine-tuned"`` from another run's; ``"zero-shot"``: pre-trained for
        the task, or the converted weights of a foundation potential, and no more; ``"fitted"`` in closed form
        (baselines); ``"calculator"``.
    """
    config = results["config"]
    if config.get("model", {}).get("kind") == "calculator":
        return "calculator"
    if config.get("init_from"):
        return "fine-tuned"
    if config.get("preset") in BASELINES:
        return "fitted"
    if config.get("task") == f"pretraining({results['task']})":
        return "zero-shot"
    # A converted run belongs to no data and took no steps.
    return "trained" if config.get("steps", 1) or config.get("data_hash", "?") else "zero-shot"


def identity(results: Results) -> str:
    """Everything that two runs must share to be copies of each other but for the seed."""
    molecules = [sorted(results["by_molecule"][part]) for part in PARTS]
    what = [results["task"], results["model"], kind_of(results), results["data"], molecules, recipe(results)]
    return json.dumps(what, sort_keys=True)


SAME_RUN = ("seed", "seeds", "version", "task")
"""Settings that two copies of a run may differ in: a member of a run of several is a copy of a run of one. (The task is
compared by itself, so that a task and its controls can be told to have the same settings.)
"""


def recipe(results: Results) -> dict[str, Any]:
    """The settings that a potential was trained with, but for seed, task and what changes no result.

    Settings that an older version did not write have their defaults, which mean the same.
    """
    config = flatten(dict(results["config"]))
    if config.get("format") == FORMAT:
        with contextlib.suppress(CompBenchError, KeyError, TypeError, ValueError):
            config |= flatten({"model": config_to_json(config_from_json(results["config"]["model"]))})
        config = defaults() | config
    if config.get("init_from"):  # copies may start from copies
        config["init_from"] = re.sub(r"-seed\d+$", "", config["init_from"])
    return {
        key: value
        for key, value in config.items()
        if key not in SAME_RUN and key not in FREE and not key.startswith("watch.")
    }


def defaults() -> dict[str, Any]:
    """Default of every setting that has one and is no part of the model, by dotted name."""
    content: dict[str, Any] = {}
    for item in fields(Configuration):
        if item.default is not MISSING:
            content[item.name] = item.default
        elif item.name in GROUPS:
            content[item.name] = asdict(GROUPS[item.name]())
    return flatten(content)


def pool(
    runs: Sequence[Results],
    samples: int | None = None,
    seed: int | None = None,
    like: Results | None = None,
    seed_stream: int = 2,
) -> Comparison:
    """ID, OOD and ratio of runs on the same molecules.

    Args:
        runs: results that differ in their seed only.
        samples: without effect.
        seed: without effect.
        like: results whose order of molecules to take, so that two pools can be compared.
        seed_stream: without effect.
    """
    return comparison(*(stacked_sums(runs, part, runs[0] if like is None else like) for part in PARTS))


def stacked_sums(runs: Sequence[Results], part: str, like: Results) -> np.ndarray:
    """Molecule sums of several runs in the order of ``like``, ``[n_runs, n_molecules, n_columns]``."""
    keys, _ = molecule_sums(like, part, SUM_COLUMNS)
    return np.stack([ordered_sums(run, part, keys) for run in runs])


def read_copies(paths: Sequence[Path]) -> list[tuple[Path, Results]]:
    """Results of runs and the folders that they are in; of a run that trained several members, those of each.

    Raises:
        RunError: as :func:`compbench_jax.evaluation.results.read_results`.
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
    own, sums = molecule_sums(results, part, SUM_COLUMNS)
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
