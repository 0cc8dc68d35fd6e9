"""The potentials by name. A potential is one file that defines its configuration, and one line here."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from compbench_jax.errors import CompBenchError, suggestion
from compbench_jax.files import from_json
from compbench_jax.models import own
from compbench_jax.models.baselines.classical import ClassicalConfig
from compbench_jax.models.baselines.composition import CompositionConfig
from compbench_jax.models.baselines.nearest import NearestConfig
from compbench_jax.models.dimenet import DimeNetConfig
from compbench_jax.models.equiformer_v2 import EquiformerV2Config
from compbench_jax.models.gemnet import GemNetConfig
from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.nequip import NequIPConfig
from compbench_jax.models.painn import PaiNNConfig
from compbench_jax.models.potential import Normalisation, Params, Potential
from compbench_jax.models.schnet import SchNetConfig
from compbench_jax.models.so3lr import SO3LRConfig


class ModelConfig(Protocol):
    """What the configuration of every potential has: a frozen dataclass of numbers and tuples of numbers.

    A potential with optional direct forces has a field ``direct_forces: bool``, one with angles has
    ``triplets: ClassVar[bool] = True``, one that needs the molecule's bonds ``bonded``, one whose
    atoms act on all others of their molecule ``long_range``, see :class:`Potential`.
    """

    kind: ClassVar[str]
    """Name of the architecture in ``potential.json``."""
    citation: ClassVar[str]
    """Where the architecture was published."""

    @property
    def cutoff(self) -> float:
        """Å, radius of the neighbour list."""
        ...

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: layers times cutoff."""
        ...

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network that :class:`Potential` calls."""
        ...


MODELS: dict[str, Any] = {
    "schnet": SchNetConfig(),
    "schnet-paper": SchNetConfig(cutoff=6.0, features=1024, filters=256, interactions=5, n_basis=200),
    "painn": PaiNNConfig(),
    "painn-paper": PaiNNConfig(cutoff=12.0, features=512, interactions=6, n_basis=128, direct_forces=True),
    "mace": MACEConfig(),
    "mace-paper": MACEConfig(channels=128, l_max=3, hidden_l=1, correlation=3),
    "dimenet": DimeNetConfig(),
    # Not stated for the benchmark: the last two widths, those of the authors of DimeNet++.
    "dimenet-paper": DimeNetConfig(cutoff=6.0, features=512, blocks=3, triplet_features=64, output_features=256),
    "gemnet": GemNetConfig(),
    # GemNet-OC there: of what is stated, our GemNet-T has no quadruplets and no cap of thirty neighbours. Not stated:
    # the last two widths, those of the authors of GemNet (github.com/TUM-DAML/gemnet_pytorch).
    "gemnet-paper": GemNetConfig(
        cutoff=12.0,
        atom_features=256,
        edge_features=1024,
        blocks=6,
        triplet_features=64,
        bilinear_features=64,
        direct_forces=True,
    ),
    "equiformer_v2": EquiformerV2Config(),
    # Our EquiformerV2 has no cap of twenty neighbours. With the force head these are the 31 M parameters stated.
    "equiformer_v2-paper": EquiformerV2Config(
        cutoff=12.0,
        layers=8,
        channels=128,
        l_max=4,
        m_max=2,
        attention_channels=64,
        heads=8,
        alpha_channels=64,
        value_channels=16,
        ffn_channels=128,
        edge_channels=128,
        n_basis=600,
        grid_resolution=18,
        gauss_grid=False,
        direct_forces=True,
    ),
    "nequip": NequIPConfig(),
    # Revised MD17 in the publication (its input files: github.com/mir-group/nequip-input-files).
    "nequip-paper": NequIPConfig(cutoff=4.0, layers=5, channels=64, l_max=3, radial_mlp=(64, 64, 64)),
    # One size, the published one: that of the weights that `compbench foundation convert so3lr` brings.
    "so3lr": SO3LRConfig(),
}
"""Presets by name: the plain name is a size for minutes on a CPU, ``-paper`` that of the benchmark's authors, see
``SIZES``."""

_BENCHMARK = "the size in the public configurations of the benchmark's authors"

SIZES: dict[str, str] = {
    "schnet-paper": _BENCHMARK,
    "painn-paper": f"{_BENCHMARK}, with direct forces as there",
    "mace-paper": "the usual size of its authors' program; the benchmark's authors' is not public",
    "dimenet-paper": _BENCHMARK,
    "gemnet-paper": f"{_BENCHMARK}, with direct forces as there, but without their quadruplets",
    "equiformer_v2-paper": f"{_BENCHMARK}, with direct forces",
    "nequip-paper": "the size of its own publication (revised MD17); the benchmark's authors' is not public",
    "so3lr": "the published size",
}
"""Where the size of a preset comes from; those not listed are ours, for minutes on a CPU."""


@dataclass(frozen=True)
class Recipe:
    """How a preset is trained unless the user says otherwise.

    Attributes:
        optimiser: its name, see :class:`compbench_jax.training.settings.OptimiserSettings`.
        learning_rate: at the peak of the schedule.
        matrix_rate: of Muon, see there.
    """

    optimiser: str = "adam"
    learning_rate: float = 5e-3
    matrix_rate: float = 0.01


RECIPES: dict[str, Recipe] = {
    "schnet": Recipe("muon", 1e-2, 0.01),
    "painn": Recipe("muon", 1e-2, 0.01),
    "dimenet": Recipe("muon", 3e-3, 0.01),
    "gemnet": Recipe("muon", 3e-3, 0.02),
    "equiformer_v2": Recipe("muon", 1e-2, 0.02),
    "so3lr": Recipe("muon", 5e-3, 0.02),
    "mace": Recipe("muon", 1e-2, 0.02),
    "nequip": Recipe("muon", 1e-2, 0.02),
    **{
        f"{name}-paper": Recipe(learning_rate=1e-3)
        for name in ("schnet", "painn", "dimenet", "gemnet", "equiformer_v2", "mace", "nequip")
    },
}
"""Recipes of presets that are trained from random parameters, chosen on tuning frames: learning rates of schnet, painn,
mace, nequip and gemnet by ``benchmarks/learning_rates.sh``, for Adam; the others, and matrix rates, by a few trials of
Muon. Presets that are not listed have the default."""

BASELINES: dict[str, Any] = {
    "composition": CompositionConfig(),
    "classical": ClassicalConfig(),
    "nearest": NearestConfig(),
}
"""Cheap potentials that are fitted in closed form, by name. Their configurations have ``fitted: ClassVar[bool] = True``
and ``fit(normalisation, train, validation) -> (params, a line about the fit)``."""


def presets() -> dict[str, Any]:
    """All potentials by name."""
    return {**MODELS, **BASELINES}


def own_preset(text: str) -> Any:
    """The configuration, with its defaults, of a potential in a file of the user's: ``FILE.py:CLASS``.

    Raises:
        CompBenchError: no such class, or one that is no configuration of a potential.
    """
    config = own.configuration_in(text)
    check_own(config)
    return config


def check_own(config: Any) -> None:
    """Refuse a configuration that is neither of this package nor one of the user's as it should be.

    Raises:
        RunError: says what it lacks.
    """
    if not is_registered(config):
        own.check_configuration(config, {*presets(), *(known.kind for known in presets().values())})


def is_registered(config: Any) -> bool:
    """Whether a configuration is of a potential of the tables above."""
    return any(type(config) is type(known) for known in presets().values())


def build_potential(config: ModelConfig, normalisation: Normalisation) -> Potential:
    """Potential of a configuration and the constants of its training data."""
    direct = getattr(config, "direct_forces", False)
    bonded = getattr(config, "bonded", False)
    triplets = getattr(config, "triplets", False)
    long_range = getattr(config, "long_range", False)
    return Potential(config.build(normalisation), normalisation, config.cutoff, direct, bonded, triplets, long_range)


def n_parameters(params: Params) -> int:
    """Number of trainable parameters: real numbers, not the tables of integers that some baselines keep with them."""
    return sum(leaf.size for leaf in jax.tree.leaves(params) if jnp.issubdtype(leaf.dtype, jnp.floating))


def config_to_json(config: Any) -> dict[str, Any]:
    """Configuration as JSON values: its fields, ``model``, the kind of potential, and, of one in a file of the user's,
    ``code``: name and SHA-256 of that.

    Raises:
        CompBenchError: a potential of one's own that is in no file.
    """
    code = {} if is_registered(config) else {"code": own.code_of(type(config))}
    return {"model": config.kind, **code, **asdict(config)}


def config_from_json(content: dict[str, Any], code_in: Path | None = None) -> Any:
    """Inverse of :func:`config_to_json`. A field that is missing was added after the configuration was written, and has
    its default: a new field's default must mean what older versions did.

    Args:
        content: the JSON values.
        code_in: folder with the file of a potential that is none of this package, which is run; None: never, as for
            results and submissions, which may be anybody's.

    Raises:
        CompBenchError: unknown kind of potential, fields that it does not have, or values of another type.
        CodeError: the file of the potential is gone or has changed.
    """
    kinds = {type(config).kind: type(config) for config in presets().values()}
    if not isinstance(content, dict):
        raise CompBenchError(f"the configuration of a potential is {content!r:.60}, not an object: restore it")
    values = dict(content)
    kind, code = str(values.pop("model", None)), values.pop("code", None)
    if code is not None:
        kinds = {} if code_in is None else {kind: own.class_of(code, code_in)}
    if kind not in kinds:
        known = suggestion(kind, kinds) if kinds else "it is in a file of its author's"
        raise CompBenchError(f"the configuration names the potential {kind!r}, unknown to this version: {known}")
    try:
        return from_json(kinds[kind], values, "model")
    except ValueError as error:
        raise CompBenchError(f"the configuration of {kind!r} does not fit this version ({error})") from error
