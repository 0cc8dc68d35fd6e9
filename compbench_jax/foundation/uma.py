"""UMA (small) with its task for molecules as an ASE calculator.

Loaded by path in an environment that has fairchem-core, so it imports nothing of the library. Downloads the weights
when first used, for those who accepted their licence and are logged in.
"""

from fairchem.core import FAIRChemCalculator, pretrained_mlip


def make(device: str = "cpu") -> FAIRChemCalculator:
    """The small model, set up for molecules of many compositions one after the other."""
    unit = pretrained_mlip.get_predict_unit("uma-s-1p2", inference_settings="batch", device=device)
    return FAIRChemCalculator(unit, task_name="omol")
