"""Parameters of the baselines, in closed form from the training frames."""

from typing import Any

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.models.baselines.classical import ClassicalConfig
from compbench_jax.models.baselines.classical_fit import fit_classical
from compbench_jax.models.baselines.composition import CompositionConfig, fit_composition
from compbench_jax.models.baselines.nearest import NearestConfig
from compbench_jax.models.baselines.nearest_fit import fit_nearest
from compbench_jax.models.normalisation import Normalisation
from compbench_jax.models.potential import Params


def fit_baseline(
    config: Any, normalisation: Normalisation, train: GraphDataset, validation: GraphDataset
) -> tuple[Params, str]:
    """Fit a baseline.

    Args:
        config: of the baseline.
        normalisation: of its training set.
        train: frames to fit.
        validation: frames that choose the strength of the ridge, where there is one.

    Returns:
        the parameters, float32, and a line about the fit.

    Raises:
        DataError: the frames come without the bonds that the baseline needs.
    """
    if isinstance(config, ClassicalConfig):
        return fit_classical(config.build(normalisation), train, validation, config.energy_weight)
    if isinstance(config, NearestConfig):
        return fit_nearest(config.build(normalisation), train, normalisation.scale)
    assert isinstance(config, CompositionConfig)
    return fit_composition(normalisation, train)
