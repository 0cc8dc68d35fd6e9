"""Makes MACE checkpoints with random weights, and energies and forces of a few molecules by them.

    python -I mace_models.py FOLDER NAME…

Run by path in the environment of `compbench foundation install mace`: it imports nothing of the library. Writes
``NAME.model``, as mace-torch saves them, and ``NAME.npz`` with atomic numbers ``z0``, positions ``x0`` (Å), energy
``e0`` (eV), forces ``f0`` (eV/Å) of molecule 0, and so on.

The weights of the tiny ones are multiples of 1/1024: what `mace.py` writes of them, together with ``NAME.npz``, are the
files ``tests/foundation/NAME.npz``.
"""

import sys
from pathlib import Path

import mace
import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from e3nn import o3
from mace import modules
from mace.calculators import MACECalculator

assert mace  # first: it lets e3nn load its constants

ORGANIC = (1, 6, 7, 8, 9, 15, 16, 17, 35, 53)
PERIODIC_TABLE = (*range(1, 84), *range(89, 95))
RESIDUAL, MIXED = "RealAgnostic{}ResidualInteractionBlock", "RealAgnostic{}InteractionBlock"

OFF = {"numbers": ORGANIC, "channels": 4, "hidden_l": 1, "r_max": 5.0, "n_bessel": 8}
MP = {"numbers": PERIODIC_TABLE, "channels": 2, "hidden_l": 1, "r_max": 6.0, "n_bessel": 10}
SUCCESSOR = {"density": "Density", "first": MIXED, "pair_repulsion": True, "distance_transform": "Agnesi"}
TINY = {"channels": 1, "radial": (8,), "readout": 2, "scale": 8.0, "coarse": True}

MODELS = {
    "off": OFF,
    "off-single": OFF | {"dtype": torch.float32},
    "off-full": OFF | {"channels": 128},
    "off-large": OFF | {"channels": 3, "hidden_l": 2, "first": MIXED},
    "mp": MP,
    "mp-small": MP | {"hidden_l": 0},
    "mp-successor": MP | SUCCESSOR,
    "mp-full": MP | {"channels": 128},
    "heads": OFF | {"first": MIXED, "heads": ["pt_head", "dft"]},
    "unscaled": OFF | {"kind": "MACE", "first": MIXED, "envelope": 6, "pair_repulsion": True},
    "tiny-off": OFF | TINY | {"channels": 2},
    "tiny-mp": MP | SUCCESSOR | TINY | {"hidden_l": 0, "l_max": 2},
}
"""Sizes and options; full ones are those of MACE-OFF23 (medium) and MACE-MP-0 (medium)."""


def make(
    numbers, channels, hidden_l, r_max, n_bessel, l_max=3, first=RESIDUAL, density="", kind="ScaleShiftMACE",
    envelope=5, radial=(64, 64, 64), readout=16, heads=None, scale=0.8, dtype=torch.float64, coarse=False, **options
):  # fmt: skip
    """A model with random weights."""
    torch.set_default_dtype(dtype)
    torch.manual_seed(0)
    n_heads = len(heads or [0])
    energies = -100.0 * np.outer(1 + np.arange(n_heads), np.array(numbers)) ** 0.5
    constants = {
        "atomic_inter_scale": scale if heads is None else [scale + i for i in range(n_heads)],
        "atomic_inter_shift": 0.25 if heads is None else [0.25 - i for i in range(n_heads)],
    }
    model = getattr(modules, kind)(
        r_max=r_max,
        num_bessel=n_bessel,
        num_polynomial_cutoff=envelope,
        max_ell=l_max,
        interaction_cls=modules.interaction_classes[RESIDUAL.format(density)],
        interaction_cls_first=modules.interaction_classes[first.format(density)],
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps([(channels, (degree, (-1) ** degree)) for degree in range(hidden_l + 1)]),
        MLP_irreps=o3.Irreps(f"{readout}x0e"),
        atomic_energies=energies if heads else energies[0],
        avg_num_neighbors=11.25,
        atomic_numbers=list(numbers),
        correlation=3,
        gate=torch.nn.functional.silu,
        radial_MLP=list(radial),
        heads=heads,
        **(constants if kind == "ScaleShiftMACE" else {}),
        **options,
    )
    with torch.no_grad():
        for parameter in model.parameters() if coarse else ():
            parameter.copy_((1024 * parameter).round() / 1024)
    return model


def molecules(numbers):
    """Distorted molecules of elements that a model knows, one of them with nuclei as close as repulsion needs."""
    rng = np.random.default_rng(0)
    close = molecule("CH3CH2OH")
    close.positions *= 0.6
    named = [molecule(name) for name in ("CH3CONH2", "PH3", "SO2")]
    turn, rise = 1.75 * np.arange(10), 0.9 * np.arange(10)
    coil = Atoms(numbers=rng.permutation(ORGANIC), positions=np.stack([np.cos(turn), np.sin(turn), rise], axis=1))
    salts = [molecule(name) for name in ("NaCl", "Si2H6")] if len(numbers) > len(ORGANIC) else []
    for atoms in (*named, close, coil, *salts):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        yield atoms


def main(folder, *names):
    """Write the files."""
    for name in names:
        model = make(**MODELS[name])
        path = Path(folder) / f"{name}.model"
        torch.save(model, path)
        calculator = MACECalculator(str(path), default_dtype="float64", head=model.heads[-1])
        found = {}
        for i, atoms in enumerate(molecules(MODELS[name]["numbers"])):
            atoms.calc = calculator
            found |= {f"z{i}": atoms.numbers, f"x{i}": atoms.positions}
            found |= {f"e{i}": atoms.get_potential_energy(), f"f{i}": atoms.get_forces()}
        np.savez(path.with_suffix(".npz"), **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
