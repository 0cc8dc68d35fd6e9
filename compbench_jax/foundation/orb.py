"""Orb v3 trained on OMol25 as an ASE calculator.

Loaded by path in an environment that has orb-models, so it imports nothing of the library. Downloads the weights when
first used.
"""

from orb_models.forcefield import pretrained
from orb_models.forcefield.calculator import ORBCalculator


def make(device: str = "cpu") -> ORBCalculator:
    """The conservative model, in full float32: its faster settings shorten the inputs of matrix products."""
    model = pretrained.orb_v3_conservative_omol(device=device, precision="float32-highest", compile=False)
    return ORBCalculator(model, device=device)
