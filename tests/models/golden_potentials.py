"""Golden energies and forces: every preset at its full size, in float64, on two molecules, with fixed parameters.

``goldens.json`` holds the molecules and what each preset said of them when the parity tests passed. It is written by

    python tests/models/golden_potentials.py

which first runs ``tests/models/parity``, in the environment that those tests need, and writes nothing if one fails.

Parameters are drawn by NumPy from their path and shape, so that no version of JAX changes them. None of them is zero:
what starts at zero would hide a part of the network.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from model_graphs import pack

from compbench_jax.models.potential import Normalisation
from compbench_jax.models.registry import MODELS, build_potential

FILE = Path(__file__).with_name("goldens.json")
NORMALISATION = Normalisation((1, 6, 8), (-13.6, -1030.0, -2040.0), scale=1.3, average_neighbours=7.5)
MOLECULES = ("CH3CH2OH", "H2COH")
"""Of ASE's G2 set."""

TABLES = ("embedding", "atoms")
"""Features of the elements, whatever their width."""

AROUND_ONE = ("scale", "weight", "energy_scale", "ratio_shift")
"""What a network multiplies by, where it starts at or near one."""


def parameters(potential: Any, graph: Any, unit_weights: bool) -> Any:
    """Parameters of the network of a potential, float64; ``unit_weights``: it divides by √fan-in itself."""

    def draw(path: Any, leaf: Any) -> np.ndarray:
        words = [key.key for key in path]
        seed = hashlib.sha256("/".join(map(str, [*words, *leaf.shape])).encode()).digest()
        noise = np.random.default_rng(list(seed)).standard_normal(leaf.shape)
        if words[-1] == "frequencies":
            return np.pi * np.arange(1, leaf.size + 1) + 0.1 * noise
        if words[-1] in AROUND_ONE:
            return 1.0 + 0.1 * noise
        if leaf.ndim < 2:
            return 0.1 * noise
        return noise if unit_weights or words[-1] in TABLES else noise * (2 / sum(leaf.shape[-2:])) ** 0.5

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(potential.init, jax.random.key(0), graph))


def evaluate(config: Any, molecules: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """``energy``, eV ``[n_molecules]``, and ``forces``, eV/Å ``[n_atoms, 3]``, of a configuration's potential.

    Args:
        config: of the potential.
        molecules: Z ``[n]`` and positions ``[n, 3]``, Å.
    """
    potential = build_potential(config, NORMALISATION)
    with jax.enable_x64(True):
        packed = [(np.searchsorted(NORMALISATION.elements, numbers), at) for numbers, at in molecules]
        graph = pack(packed, config.cutoff, dtype=np.float64, incoming=0 if potential.triplets else None)
        params = parameters(potential, graph, config.kind in ("mace", "nequip"))
        compiled = jax.jit(potential.energy_and_forces, compiler_options={"xla_backend_optimization_level": 0})
        energy, forces = jax.device_get(compiled(params, graph))
    return {"energy": energy[: len(molecules)], "forces": forces[: sum(len(at) for _, at in molecules)]}


def molecules_of(content: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Z and positions of the molecules of ``goldens.json``."""
    return [(np.array(item["numbers"]), np.array(item["positions"])) for item in content["molecules"]]


def main() -> None:
    """Run the parity tests, then write ``goldens.json``."""
    from ase.build import molecule

    parity = Path(__file__).with_name("parity")
    tests = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "slow", str(parity)]
    if subprocess.run(tests, check=False).returncode:
        sys.exit("a parity test fails: no goldens are written")
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {"molecules": [], "potentials": {}}
    for name in MOLECULES:
        atoms = molecule(name)
        moved = atoms.positions + 0.05 * rng.normal(size=(len(atoms), 3))
        content["molecules"].append({"numbers": atoms.numbers.tolist(), "positions": moved.round(4).tolist()})
    for name, config in MODELS.items():
        found = evaluate(config, molecules_of(content))
        content["potentials"][name] = {key: [float(f"{x:.12g}") for x in v.ravel()] for key, v in found.items()}
    FILE.write_text(json.dumps(content, indent=None).replace('], "', '],\n "').replace('}, "', '},\n"') + "\n")


if __name__ == "__main__":
    main()
