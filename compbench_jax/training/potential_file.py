"""``potential.json`` of a run: configuration and normalisation, all that a potential is except its parameters."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compbench_jax.errors import CompBenchError, DataError, RunError
from compbench_jax.files import read_json, write_atomically
from compbench_jax.models.own import CodeError
from compbench_jax.models.potential import Normalisation, Potential
from compbench_jax.models.registry import build_potential, config_from_json, config_to_json

FORMAT = "compbench-potential"
VERSION = 2
"""1 had no ``element_fan_in``; a file that does not need it is of version 1."""
FILE = "potential.json"


def write(run: Path, config: Any, normalisation: Normalisation) -> None:
    """Write ``RUN/potential.json``, whole or not at all. Python prints floats so that they are read back exactly."""
    values = asdict(normalisation)
    if not normalisation.element_fan_in:
        del values["element_fan_in"]
    content = {
        "format": FORMAT,
        "version": VERSION if normalisation.element_fan_in else 1,
        "model": config_to_json(config),
        "normalisation": values,
        "units": {"reference_energies": "eV", "scale": "eV/angstrom", "cutoff": "angstrom"},
    }
    write_atomically(run / FILE, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read(run: Path) -> Potential:
    """The potential of a run folder, without parameters.

    Raises:
        DataError: the file is missing or no JSON.
        RunError: it is damaged, or of a newer version.
    """
    path = run / FILE
    if not path.exists():
        raise RunError(f"{path} is missing: restore it, or train again in a new folder")
    try:
        content = read_json(path)
    except DataError as error:
        raise RunError(str(error)) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content.get("version"), int):
        raise RunError(f"{path} does not describe a potential: restore it, or train again in a new folder")
    if content["version"] > VERSION:
        raise RunError(
            f"{path} has version {content['version']}, this program reads up to {VERSION}: upgrade compbench_jax"
        )
    try:
        values = content["normalisation"]
        normalisation = Normalisation(
            elements=tuple(int(z) for z in values["elements"]),
            reference_energies=tuple(float(e) for e in values["reference_energies"]),
            scale=float(values["scale"]),
            average_neighbours=float(values["average_neighbours"]),
            element_fan_in=int(values.get("element_fan_in", 0)),
        )
        config = config_from_json(content["model"], run)
    except CodeError:
        raise
    except (CompBenchError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged ({type(error).__name__}: {error}): restore it, or train again") from error
    return build_potential(config, normalisation)
