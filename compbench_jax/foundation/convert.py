"""A foundation potential as a run of ours, its weights converted: to evaluate, to run dynamics with, to fine-tune."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.calculators.spec import find_python
from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.files import write_atomically
from compbench_jax.foundation.install import foundation_folder, foundation_path, foundation_spec
from compbench_jax.foundation.mace_weights import (
    Original,
    choose_head,
    mace_config,
    mace_normalisation,
    mace_params,
)
from compbench_jax.foundation.registry import get_foundation
from compbench_jax.foundation.weights import so3lr_config, so3lr_normalisation, so3lr_params
from compbench_jax.models.potential import Normalisation, Params
from compbench_jax.store.manifest import file_sha256
from compbench_jax.training import configuration as config_file
from compbench_jax.training import potential_file, run_folder
from compbench_jax.training.checkpoint import save_params
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.settings import OptimiserSettings

CONVERTIBLE = ("so3lr", "mace")
"""Foundation potentials that this library has an implementation of."""

LICENCE_FILE = "LICENCE-WEIGHTS.txt"

UPSTREAM = """
----

The weights were published first with the program so3lr (general-molecular-simulations/so3lr):

MIT License

Copyright (c) 2024 Thorben Frank

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
"""Notice of the weights' first publication, in addition to that of the package they are read from."""


MACE_TERMS = """Converted from {file} (SHA-256 {checksum}).

A checkpoint does not name its licence: the terms are those of its authors. MACE-OFF23, MACE-OMAT-0 and MACE-MATPES-0
are under the Academic Software License, MACE-MP-0, its successors and MACE-MPA-0 under the MIT License.
"""

FINE_TUNING_RATE = 5e-4
"""Learning rate in the configuration of a converted MACE, for runs that start from it."""


@dataclass(frozen=True)
class Converted:
    """A foundation potential in our terms.

    Attributes:
        model: configuration of the potential.
        normalisation: its constants.
        params: its parameters.
        licence: text that goes with the weights.
        origin: what is known of its training, as ``split.json`` keeps it.
        optimiser: settings for runs that start from it.
    """

    model: Any
    normalisation: Normalisation
    params: Params
    licence: str
    origin: dict[str, Any]
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)


def convert(
    name: str, run: Path, folder: Path | None = None, checkpoint: Path | None = None, head: str | None = None
) -> Path:
    """Write a run folder whose only checkpoint holds the weights of a foundation potential.

    The run belongs to no task and no data; both are named where it is evaluated or trained on.

    Args:
        name: of the foundation potential, one of ``CONVERTIBLE``.
        run: the run folder, which must not hold a run.
        folder: of the potential's environment; None: the usual place.
        checkpoint: file to convert, for ``mace`` alone.
        head: of a checkpoint that has several.

    Returns:
        the run folder.

    Raises:
        CompBenchError: no such potential, one that we have no implementation of, one that is not installed, or weights
            that do not fit.
        RunError: the folder holds a run already, or cannot be written to.
    """
    get_foundation(name)
    if name not in CONVERTIBLE:
        raise CompBenchError(
            f"{name} has no implementation here to convert it to, only {', '.join(CONVERTIBLE)}: evaluate it with "
            f"`python evaluate.py --foundation {name}`"
        )
    if (name == "mace") != (checkpoint is not None):
        raise CompBenchError("`convert mace` takes the file of a checkpoint, FILE.model; the others take none")
    if (run / config_file.FILE).exists():
        raise RunError(f"{run} already holds a run: give another --out or remove the folder")
    found = _so3lr(folder) if checkpoint is None else _mace(checkpoint, folder, head)
    with run_folder.locked(run, "converting"):
        write_atomically(run / LICENCE_FILE, found.licence.encode())
        write_atomically(run / run_folder.SPLIT_FILE, (json.dumps(no_split(found.origin), indent=1) + "\n").encode())
        potential_file.write(run, found.model, found.normalisation)
        save_params(run, found.params)
        # Last: a folder with a configuration is a run.
        configuration = RunConfig("", "", "", name, found.model, 0, 0, 8, optimiser=found.optimiser)
        config_file.write(run / config_file.FILE, configuration)
    return run


def _so3lr(folder: Path | None) -> Converted:
    """SO3LR as its package carries it."""
    item = get_foundation("so3lr")
    foundation_spec(item.name, folder)  # says what is wrong
    arrays = read_weights(foundation_folder(item.name, folder), Path(__file__).with_name("so3lr.py"))
    settings = json.loads(arrays["settings"].tobytes())
    model, elements = so3lr_config(settings), item.numbers
    origin = {key: getattr(item, key) for key in ("name", "level", "trained_on", "heavy_atoms")}
    return Converted(
        model,
        so3lr_normalisation(arrays, settings, elements),
        so3lr_params(arrays, model, elements),
        arrays["licence"].tobytes().decode() + UPSTREAM,
        origin,
    )


def _mace(checkpoint: Path, folder: Path | None, head: str | None) -> Converted:
    """A checkpoint of mace-torch."""
    if not checkpoint.is_file():
        raise CompBenchError(f"there is no checkpoint {checkpoint}: give the .model file that mace-torch saved")
    if folder is None:
        foundation_path("mace")  # says what is wrong
    environment = foundation_folder("mace", folder)
    remedy = "give the .model file that mace-torch saved, and --dir for another environment with mace-torch"
    arrays = read_weights(environment, Path(__file__).with_name("mace.py"), (str(checkpoint.absolute()),), remedy)
    settings = json.loads(arrays["settings"].tobytes())
    original = Original(arrays, settings, choose_head(settings, head))
    model = mace_config(original)
    return Converted(
        model,
        mace_normalisation(original),
        mace_params(original, model),
        MACE_TERMS.format(file=checkpoint.name, checksum=file_sha256(checkpoint)),
        {
            "name": checkpoint.name,
            "level": "a level of theory",
            "trained_on": "data that its checkpoint does not name: molecules tested here may be among them",
            "heavy_atoms": 0,
        },
        OptimiserSettings(learning_rate=FINE_TUNING_RATE),
    )


def read_weights(
    environment: Path, script: Path, words: Sequence[str] = (), remedy: str | None = None
) -> dict[str, np.ndarray]:
    """Arrays that a script writes in the environment of a foundation potential, by name.

    Args:
        environment: folder of the virtual environment.
        script: run with the path of an ``.npz`` file.
        words: that follow the path.
        remedy: what to do if it fails; by default: to install the environment again.

    Raises:
        CompBenchError: the script failed; with the last line that it printed.
    """
    python = find_python(environment)
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "weights.npz"
        # -I: the folder of the script, a part of this library, is no place to import from.
        command = [str(python), "-I", str(script), str(path), *words]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or not path.is_file():
            last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
            remedy = remedy or "remove that folder, then `compbench foundation install` again"
            raise CompBenchError(f"reading the weights in {environment} failed ({last[:200]}): {remedy}")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}


def no_split(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Contents of the run's ``split.json``: what it was trained on is known in words only."""
    nothing = {"frames": 0, "sha256": "", "molecules": [], "inchikeys": []}
    parts = ("train", "validation", "id_test", "ood_test")
    return {"task": "", "data": "", "sets": {part: nothing for part in parts}, "foundation": dict(origin)}
