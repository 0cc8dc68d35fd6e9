"""Trained potentials that come with the package: configuration, parameters and card of each, loaded by name."""

import datetime
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from compbench_jax._version import __version__
from compbench_jax.errors import CompBenchError, DataError, RunError, suggestion
from compbench_jax.evaluation.derived import read_results
from compbench_jax.files import read_bytes, read_json, write_atomically
from compbench_jax.training import configuration as config_file
from compbench_jax.training import potential_file, prior, run_folder
from compbench_jax.training.checkpoint import save_params
from compbench_jax.training.loaded_run import LoadedRun, load_run, without_prior

FOLDER = Path(__file__).parent / "trained"
PARAMETERS, CARD = "parameters.npz", "card.json"
FILES = (config_file.FILE, potential_file.FILE, run_folder.SPLIT_FILE)
PRIOR_FILES = tuple(f"{prior.FOLDER}/{name}" for name in (potential_file.FILE, prior.FILE))
FORMAT, VERSION = "compbench-weights", 1
MOST_BYTES = 1 << 30
LICENCE = "MIT (parameters), labels computed with GFN2-xTB (tblite)"


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the trained potentials, sorted."""
    return sorted(path.parent.name for path in folder.glob(f"*/{CARD}"))


def read_card(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Card of a trained potential: data, task, errors, licence, sums of its files.

    Raises:
        CompBenchError: there is none of this name.
        DataError: the card is damaged.
    """
    if name not in names(folder):
        raise CompBenchError(f"there are no weights {name!r}: {suggestion(name, names(folder))}")
    content = read_json(folder / name / CARD)
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("version") != VERSION:
        raise DataError(f"{folder / name / CARD} is no card of this version: install the package again")
    return content


def load(name: str, folder: Path = FOLDER) -> LoadedRun:
    """A trained potential by name, as :func:`compbench_jax.training.loaded_run.load_run` gives one.

    Raises:
        CompBenchError: there is none of this name, or a file is not the one that the card names.
    """
    card = read_card(name, folder)
    here = folder / name
    check_sums(card, here)
    settings = config_file.read(here / config_file.FILE)
    potential = replace(potential_file.read(here), precision=settings.precision)
    with np.load(io.BytesIO(read_bytes(here / PARAMETERS, MOST_BYTES)), allow_pickle=False) as arrays:
        params: Any = unflatten_dict({path: arrays[path] for path in arrays.files}, sep="/")
    if settings.prior != "none":
        potential, more = prior.with_prior(potential, here)
        params |= more
    config = config_file.to_json(settings)
    rate = settings.optimiser.learning_rate
    return LoadedRun(config, potential, params, card["step"], 0, card["seed"], rate, card["validation_loss"])


def unpack(name: str, run: Path, folder: Path = FOLDER) -> Path:
    """Write a run folder with these weights: for ``evaluate --run``, ``train --init-from``, ``export``, ``dynamics``.

    Raises:
        CompBenchError: there are none of this name, or they are damaged.
        RunError: the folder holds a run already.
    """
    found = without_prior(load(name, folder))
    if (run / config_file.FILE).exists():
        raise RunError(f"{run} already holds a run: give another --out or remove the folder")
    with run_folder.locked(run, "unpacking"):
        save_params(run, found.params)
        files = [item for item in (*FILES[1:], *PRIOR_FILES, FILES[0]) if (folder / name / item).exists()]
        for item in files:  # the configuration last: a folder that has one is a run
            (run / item).parent.mkdir(exist_ok=True)
            write_atomically(run / item, read_bytes(folder / name / item, MOST_BYTES))
    return run


def pack(run: Path, name: str, folder: Path = FOLDER) -> Path:
    """Keep the best parameters of an evaluated run under a name.

    Raises:
        RunError: the run has several seeds, or no results.
    """
    found, results = load_run(run), read_results(run / "results.json")
    if len(config_file.read(run / config_file.FILE).members()) > 1:
        raise RunError(f"{run} has several seeds: pack a run of one")
    here = folder / name
    here.mkdir(parents=True, exist_ok=True)
    for item in (*FILES, *PRIOR_FILES):
        if (run / item).exists():
            (here / item).parent.mkdir(exist_ok=True)
            write_atomically(here / item, read_bytes(run / item, MOST_BYTES))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **flatten_dict(without_prior(found).params, sep="/"))
    write_atomically(here / PARAMETERS, buffer.getvalue())
    error = {part: results[part]["force_mae"]["value"] for part in ("id", "ood", "ratio")}
    card = {
        "format": FORMAT,
        "version": VERSION,
        "model": results["model"],
        "task": results["task"],
        "data": results["data"],
        "seed": found.seed,
        "step": found.step,
        "validation_loss": found.validation_loss,
        "force_mae": {"id": error["id"], "ood": error["ood"], "ratio": error["ratio"], "unit": "eV/Å"},
        "licence": LICENCE,
        "compbench_jax": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "sha256": {item: digest(here / item) for item in (*FILES, *PRIOR_FILES, PARAMETERS) if (here / item).exists()},
    }
    write_atomically(here / CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())
    return here


def check_sums(card: dict[str, Any], here: Path) -> None:
    """Refuse files that are not those of the card.

    Raises:
        DataError: naming the file.
    """
    for item, expected in card["sha256"].items():
        if digest(here / item) != expected:
            raise DataError(f"{here / item} is not the file that its card names: install the package again")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(read_bytes(path, MOST_BYTES)).hexdigest()
