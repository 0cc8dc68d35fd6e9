"""Writes the weights of SO3LR, as the package so3krates-torch carries them, into an ``.npz`` file.

    python -I so3lr.py FILE.npz

Run by path in the environment that `compbench foundation install so3lr` made: it imports nothing of the library (hence
-I, or files next to it would be taken for modules of the standard library). The package's checkpoint is a pickle that
its own code loads here; what the file holds is arrays alone: the parameters by their names, ``settings`` (JSON as
bytes) and ``licence`` (the package's, text as bytes).
"""

import importlib.metadata
import json
import sys

import numpy as np
from so3krates_torch.calculator.so3 import SO3LRCalculator

SETTINGS = (
    "r_max",
    "num_radial_basis_fn",
    "degrees",
    "num_features",
    "num_heads",
    "num_layers",
    "avg_num_neighbors",
    "electrostatic_energy_scale",
    "dispersion_energy_scale",
    "radial_basis_fn",
    "cutoff_fn_name",
    "message_normalization",
    "energy_regression_dim",
    "num_embeddings",
)


def as_bytes(text):
    """Text as an array of bytes."""
    return np.frombuffer(text.encode(), np.uint8)


def main(path):
    """Write the file."""
    # Called as a method without its class's set-up, which would ask for a device and print.
    model = SO3LRCalculator._load_model(None, "cpu")
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    settings = {name: getattr(model, name) for name in SETTINGS}
    package = importlib.metadata.distribution("so3krates-torch")
    licences = [file for file in package.files or () if "LICENSE" in file.name.upper()]
    settings["version"] = package.version
    licence = "\n".join(file.read_text() for file in licences)
    np.savez(path, settings=as_bytes(json.dumps(settings)), licence=as_bytes(licence), **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
