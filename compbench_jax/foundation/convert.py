"""A foundation potential as a run of ours, its weights converted: to evaluate, to run dynamics with, to fine-tune."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.calculators.spec import find_python
from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.files import write_atomically
from compbench_jax.foundation.install import foundation_folder, foundation_spec
from compbench_jax.foundation.registry import Foundation, get_foundation
from compbench_jax.foundation.weights import so3lr_config, so3lr_normalisation, so3lr_params
from compbench_jax.models.potential import Params
from compbench_jax.training import configuration as config_file
from compbench_jax.training import potential_file, run_folder
from compbench_jax.training.checkpoint import Checkpoint, Checkpoints, no_best
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.state import Cursor, initial_state

CONVERTIBLE = ("so3lr",)
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


def convert(name: str, run: Path, folder: Path | None = None) -> Path:
    """Write a run folder whose only checkpoint holds the weights of a foundation potential.

    The run belongs to no task and no data; both are named where it is evaluated or trained on.

    Args:
        name: of the foundation potential, one of ``CONVERTIBLE``.
        run: the run folder, which must not hold a run.
        folder: of the potential's environment; None: the usual place.

    Returns:
        the run folder.

    Raises:
        CompBenchError: no such potential, one that we have no implementation of, one that is not installed, or weights
            that do not fit.
        RunError: the folder holds a run already, or cannot be written to.
    """
    item = get_foundation(name)
    if name not in CONVERTIBLE:
        raise CompBenchError(
            f"{name} has no implementation here to convert it to, only {', '.join(CONVERTIBLE)}: evaluate it with "
            f"`python evaluate.py --foundation {name}`"
        )
    if (run / config_file.FILE).exists():
        raise RunError(f"{run} already holds a run: give another --out or remove the folder")
    foundation_spec(name, folder)  # says what is wrong
    arrays = read_weights(foundation_folder(name, folder), Path(__file__).with_name("so3lr.py"))
    settings = json.loads(arrays["settings"].tobytes())
    model, elements = so3lr_config(settings), item.numbers
    params = so3lr_params(arrays, model, elements)
    licence = arrays["licence"].tobytes() + UPSTREAM.encode()
    with run_folder.locked(run, "converting"):
        write_atomically(run / LICENCE_FILE, licence)
        write_atomically(run / run_folder.SPLIT_FILE, (json.dumps(no_split(item), indent=1) + "\n").encode())
        potential_file.write(run, model, so3lr_normalisation(arrays, settings, elements))
        save_params(run, params)
        # Last: a folder with a configuration is a run.
        config_file.write(
            run / config_file.FILE,
            RunConfig(task="", data="", data_hash="", preset=name, model=model, seed=0, steps=0, batch_size=8),
        )
    return run


def read_weights(environment: Path, script: Path) -> dict[str, np.ndarray]:
    """Arrays that a script writes in the environment of a foundation potential, by name.

    Args:
        environment: folder of the virtual environment.
        script: run with the path of an ``.npz`` file.

    Raises:
        CompBenchError: the script failed; with the last line that it printed.
    """
    python = find_python(environment)
    variables = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "weights.npz"
        # -I: the folder of the script, a part of this library, is no place to import from.
        command = [str(python), "-I", str(script), str(path)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or not path.is_file():
            last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
            raise CompBenchError(
                f"reading the weights in {environment} failed ({last[:200]}): remove that folder, then "
                "`compbench foundation install` again"
            )
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}


def no_split(item: Foundation) -> dict[str, Any]:
    """Contents of the run's ``split.json``: what it was trained on is known in words only."""
    nothing = {"frames": 0, "sha256": "", "molecules": [], "inchikeys": []}
    parts = ("train", "validation", "id_test", "ood_test")
    return {
        "task": "",
        "data": "",
        "sets": {part: nothing for part in parts},
        "foundation": {
            "name": item.name,
            "level": item.level,
            "trained_on": item.trained_on,
            "heavy_atoms": item.heavy_atoms,
        },
    }


def save_params(run: Path, params: Params) -> None:
    """Write a checkpoint of step 0 with these parameters."""
    import jax
    import optax

    state = initial_state([jax.device_put(params)], optax.identity())
    Checkpoints(run).save(Checkpoint(state, (Cursor(0, 0),), no_best(1)))
